use super::*;

const DESPECKLE: &str = "
name: despeckle
image: registry.example.org/despeckle:1
script: script.sh
memory: 1Gi
cpu: 1.5
log_level: DEBUG
environment:
  variables:
    ITERATIONS: 40
    MODE: fast
input:
- storage_provider: minio.default
  path: echo/in
  suffix: [.dcm]
output:
- path: echo/out
  suffix: .png
gpu:
  memory: 256Mi
timeout: 10m
max_parallel: 2
";

fn valid(yaml: &str) -> Result<Function, FunctionError> {
    let mut spec = parse_yaml(yaml).unwrap().remove(0);
    if spec.script == "script.sh" {
        spec.script = "#!/bin/sh\necho hi\n".into();
    }
    Function::try_from(spec)
}

#[test]
fn a_full_definition_is_understood() {
    let f = valid(DESPECKLE).unwrap();
    assert_eq!(
        (f.memory.get(), f.cpu.get(), f.gpu.clone().unwrap().get()),
        (1 << 30, 1500, 256 << 20)
    );
    assert_eq!(f.environment["ITERATIONS"], "40");
    assert_eq!(f.timeout, Some(Duration::from_secs(600)));
    assert_eq!(f.input[0].filter.suffix, [".dcm"]);
    assert_eq!(f.output[0].filter.suffix, [".png"]);
    assert_eq!(f.buckets().collect::<Vec<_>>(), ["echo"]);
    assert_eq!(f.warnings(), Vec::<String>::new());
}

#[test]
fn oscars_file_form_is_understood() {
    let text = "
functions:
  oscar:
  - my-cluster:
      name: one
      script: one.sh
      environment:
        Variables: {A: b}
  - my-cluster:
      name: two
      script: two.sh
storage_providers:
  s3: {}
";
    let all = parse_yaml(text).unwrap();
    assert_eq!(
        all.iter().map(|f| f.name.as_str()).collect::<Vec<_>>(),
        ["one", "two"]
    );
    assert_eq!(all[0].environment.variables["A"], "b");
}

#[test]
fn the_json_form_survives_a_round_trip() {
    let f = valid(DESPECKLE).unwrap();
    let json = serde_json::to_vec(f.spec()).unwrap();
    let again = Function::try_from(parse_json(&json).unwrap()).unwrap();
    assert_eq!(
        serde_json::to_value(again.spec()).unwrap(),
        serde_json::to_value(f.spec()).unwrap()
    );
}

#[test]
fn unknown_fields_come_with_a_hint() {
    let message = |yaml: &str| parse_yaml(yaml).unwrap_err().to_string();
    assert!(message("name: a\nscript: b\nmemroy: 1Gi\n").contains("did you mean `memory`?"));
    assert!(message("name: a\nscript: b\nenable_gpu: true\n").contains("gpu: {memory: 1Gi}"));
    assert!(
        message("name: a\nenvironment: {secrets: {A: b}}\n").contains("secrets are not stored")
    );
    assert!(
        message("name: a\ninput: [{path: b/c, sufix: [x]}]\n").contains("did you mean `suffix`?")
    );
    assert!(message("name: a\nmemory: 12MB\n").contains("12MB"));
    assert!(message("").contains("no function is defined"));
    assert!(message("functions: {oscar: []}").contains("no function is defined"));
}

#[test]
fn values_out_of_range_are_refused() {
    let error = |change: &str| {
        let (key, value) = change.split_once(": ").unwrap();
        let mut lines: Vec<String> = "name: abc\nscript: script.sh\n"
            .lines()
            .map(str::to_owned)
            .collect();
        lines.retain(|l| !l.starts_with(key));
        lines.push(format!("{key}: {value}"));
        valid(&lines.join("\n")).unwrap_err().to_string()
    };
    for name in ["Upper", "1st", "a-", "a_b", "../up", &"x".repeat(40)] {
        assert!(
            error(&format!("name: {name}")).starts_with("name"),
            "{name}"
        );
    }
    assert!(error("script: ''").contains("no script"));
    assert!(error("memory: 0").contains("memory is zero"));
    assert!(error("gpu: {memory: 0Mi}").contains("gpu.memory is zero"));
    assert!(error("max_parallel: 0").contains("max_parallel is zero"));
    assert!(error("timeout: soon").contains("90s"));
    assert!(error("timeout: 0s").contains("90s"));
    assert!(error("environment: {variables: {EVENT: x}}").contains("set by the platform"));
    assert!(error("environment: {variables: {A-B: x}}").contains("is not a name"));
    assert!(error("input: [{path: a/b}]").contains("not a bucket name"));
    assert!(error("input: [{path: abc/../x}]").contains("folder"));
    assert!(
        error("input: [{path: abc, storage_provider: onedata.x}]")
            .contains("only the built-in store")
    );
}

#[test]
fn scripts_that_cannot_run_are_refused() {
    let with = |script: &str| {
        Function::try_from(FunctionSpec {
            name: "f".into(),
            script: script.into(),
            ..Default::default()
        })
    };
    assert!(
        with("#!\necho")
            .unwrap_err()
            .to_string()
            .contains("no interpreter")
    );
    assert!(
        with("#!/bin/sh\r\necho\r\n")
            .unwrap_err()
            .to_string()
            .contains("Windows")
    );
    assert!(
        with(&"x".repeat(MAX_SCRIPT + 1))
            .unwrap_err()
            .to_string()
            .contains("limit")
    );
    assert!(with("echo no interpreter line").is_ok());
}

#[test]
fn an_output_inside_the_input_is_warned_about() {
    let yaml = "name: f\nscript: script.sh\ninput: [{path: abc}]\noutput: [{path: abc/out}]\n";
    assert!(valid(yaml).unwrap().warnings()[0].contains("will not start it"));
    let looping = format!("{yaml}allow_loop: true\n");
    assert!(valid(&looping).unwrap().warnings()[0].contains("allow_loop"));
}

/// The documentation names every field, variable and refusal that the code knows, and its example is valid.
#[test]
fn the_documentation_is_complete() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/platform.md");
    let text = std::fs::read_to_string(path).unwrap();
    for variable in RESERVED_VARIABLES.iter().filter(|v| **v != "RGPU_JOB_TAG") {
        assert!(text.contains(&format!("`{variable}`")), "{variable}");
    }
    let full = serde_json::to_value(valid(DESPECKLE).unwrap().spec()).unwrap();
    let rare = ["file_stage_in", "labels", "annotations", "allow_loop"];
    for field in full
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .chain(rare)
    {
        let named = ["", ".", "[]"]
            .iter()
            .any(|end| text.contains(&format!("`{field}{end}")));
        assert!(named, "{field}");
    }
    let example = text
        .split("```yaml")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    assert_eq!(valid(example).unwrap().name, "despeckle");
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "[ -~\n\t:{}\\[\\]&*!|>-]{0,200}") {
        let _ = parse_yaml(&text);
        let _ = parse_json(text.as_bytes());
    }
}
