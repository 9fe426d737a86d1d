//! Upload, job, result: what a job finds, how it ends, and what it leaves.

use std::collections::BTreeMap;
use std::path::Path;

use hyper::StatusCode;
use rgpu_sched::client::{apply_file, list, show_logs};
use rgpu_sched::queue::{Phase, State};
use rgpu_sched::{Config, Services};

use crate::common::{COPY, Platform, pipe, read_pipe, write_pipe};

#[tokio::test]
async fn an_upload_runs_the_example_and_its_result_is_stored() {
    let p = Platform::start().await;
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/hello/function.yaml");
    let mut said = Vec::new();
    let greeting = BTreeMap::from([("GREETING".to_owned(), "Welcome".to_owned())]);
    apply_file(&p.api, &example, &greeting, &mut said)
        .await
        .unwrap();
    assert_eq!(String::from_utf8(said).unwrap(), "hello created\n");

    let done = p.run("hello", "in/letter.txt", "one two\nthree\n").await;
    assert_eq!(
        (done.state, done.exit_code, done.attempt),
        (State::Succeeded, Some(0), 1),
        "{done:?}"
    );
    assert_eq!(
        p.s3.get("hello", "out/letter.txt.count").await.text(),
        "lines=2 words=3 bytes=14\n"
    );
    assert_eq!(done.outputs[0].key, "out/letter.txt.count");

    let phases: Vec<Phase> = done
        .times
        .durations(done.times.queued)
        .iter()
        .map(|(phase, _)| *phase)
        .collect();
    assert_eq!(
        phases,
        [
            Phase::Queued,
            Phase::Prepare,
            Phase::Input,
            Phase::Start,
            Phase::Run,
            Phase::Output
        ]
    );
    let mut log = Vec::new();
    show_logs(&p.api, done.id, true, &mut log).await.unwrap();
    let log = String::from_utf8(log).unwrap();
    assert!(
        log.contains("Welcome, letter.txt\n")
            && log.contains("output s3://hello/out/letter.txt.count"),
        "{log}"
    );

    let mut table = Vec::new();
    list(&p.api, &mut table).await.unwrap();
    let table = String::from_utf8(table).unwrap();
    assert!(
        table.contains("hello/in/letter.txt  Succeeded") && table.contains("1 object"),
        "{table}"
    );
    p.stop().await;
}

#[tokio::test]
async fn the_script_finds_the_whole_contract() {
    let p = Platform::start().await;
    let script = "#!/bin/sh
set -e
cp \"$INPUT_FILE_PATH\" \"$TMP_OUTPUT_DIR/input\"
printf '%s' \"$EVENT\" > \"$TMP_OUTPUT_DIR/event\"
mkdir \"$TMP_OUTPUT_DIR/deep\"
printf '%s|%s|%s|%s' \"$STORAGE_OBJECT_KEY\" \"$MODE\" \"$OSCAR_SERVICE_NAME\" \"$(ls $TMP_INPUT_DIR)\" > \"$TMP_OUTPUT_DIR/deep/facts\"
";
    p.function(
        &format!("{COPY}environment: {{variables: {{MODE: fast}}}}\n"),
        script,
    )
    .await;
    let done = p.run("data", "in/sub folder/ä.bin", "content").await;
    assert_eq!(done.state, State::Succeeded, "{}", p.log(done.id).await);
    assert_eq!(p.s3.get("data", "out/input").await.text(), "content");
    assert_eq!(
        p.s3.get("data", "out/deep/facts").await.text(),
        "in/sub folder/ä.bin|fast|copy|ä.bin"
    );
    let event: serde_json::Value =
        serde_json::from_slice(&p.s3.get("data", "out/event").await.body).unwrap();
    let record = &event["Records"][0];
    assert_eq!(record["eventName"], "ObjectCreated:Put");
    assert_eq!(record["s3"]["bucket"]["name"], "data");
    assert_eq!(record["s3"]["object"]["key"], "in/sub+folder/%C3%A4.bin");
    assert_eq!(record["s3"]["object"]["size"], 7);
    assert_eq!(record["s3"]["object"]["eTag"], done.trigger.etag.as_str());
    assert_eq!(record["requestParameters"]["sourceIPAddress"], "127.0.0.1");
    p.stop().await;
}

#[tokio::test]
async fn a_failing_script_is_a_failed_job_with_its_log() {
    let p = Platform::start().await;
    p.function(
        COPY,
        "echo to stdout\necho to stderr >&2\ntouch $TMP_OUTPUT_DIR/half\nexit 42\n",
    )
    .await;
    let done = p.run("data", "in/x", "").await;
    assert_eq!((done.state, done.exit_code), (State::Failed, Some(42)));
    assert_eq!(done.error.as_deref(), Some("the script exited with 42"));
    let log = p.log(done.id).await;
    assert!(
        log.contains("to stdout\nto stderr\n") && log.contains("ERROR] the script exited with 42"),
        "{log}"
    );
    assert_eq!(
        p.s3.get("data", "out/half").await.status,
        StatusCode::NOT_FOUND,
        "half a result is no result"
    );
    p.stop().await;
}

#[tokio::test]
async fn a_script_that_cannot_start_fails_with_the_reason() {
    let p = Platform::start().await;
    p.function(COPY, "#!/no/such/interpreter\n").await;
    let done = p.run("data", "in/x", "").await;
    assert_eq!((done.state, done.exit_code), (State::Failed, None));
    assert!(done.error.unwrap().contains("/no/such/interpreter"));
    p.stop().await;
}

#[tokio::test]
async fn filters_decide_what_starts_and_what_is_kept() {
    let p = Platform::start().await;
    let yaml = "
name: copy
input: [{path: data/in, prefix: [scan], suffix: [.dcm]}]
output: [{path: data/png, suffix: [.png]}, {path: other-bucket, prefix: [report]}]
";
    p.function(
        yaml,
        "cd $TMP_OUTPUT_DIR; touch a.png report.png report.txt nothing\n",
    )
    .await;
    assert_eq!(p.upload("data", "in/scan1.txt", "").await.len(), 0);
    assert_eq!(p.upload("data", "in/other.dcm", "").await.len(), 0);
    assert_eq!(p.upload("data", "elsewhere/scan1.dcm", "").await.len(), 0);
    let done = p.run("data", "in/scan1.dcm", "").await;
    let mut made: Vec<String> = done
        .outputs
        .iter()
        .map(|o| format!("{}/{}", o.bucket, o.key))
        .collect();
    made.sort();
    assert_eq!(
        made,
        [
            "data/png/a.png",
            "data/png/report.png",
            "other-bucket/report.png",
            "other-bucket/report.txt"
        ]
    );
    assert!(
        p.log(done.id)
            .await
            .contains("no output of the function takes it: nothing")
    );
    p.stop().await;
}

#[tokio::test]
async fn functions_feed_each_other_but_never_themselves() {
    let p = Platform::start().await;
    let copy = "cp $INPUT_FILE_PATH $TMP_OUTPUT_DIR/\n";
    p.function(
        "name: first\ninput: [{path: chain/in}]\noutput: [{path: chain/mid}]\n",
        copy,
    )
    .await;
    p.function(
        "name: second\ninput: [{path: chain/mid}]\noutput: [{path: chain/in}]\n",
        copy,
    )
    .await;
    let first = p.run("chain", "in/x", "data").await;
    assert_eq!(first.state, State::Succeeded);
    let second = p.of("chain", "mid/x").await.remove(0);
    assert_eq!(p.ended(second.id).await.state, State::Succeeded);
    assert_eq!(second.chain.0, ["first", "second"]);
    // `second` has written in/x again, which would start `first`, to whose results it belongs.
    assert_eq!(p.of("chain", "in/x").await.len(), 1);
    p.stop().await;
}

#[tokio::test]
async fn running_and_waiting_invocations_can_be_cancelled() {
    let dir = tempfile::tempdir().unwrap();
    let p = Platform::start_in(
        dir,
        |c: &mut Config| c.limits.total = 1,
        Services::default(),
    )
    .await;
    let started = p.path("started");
    pipe(&started);
    // Ignores the polite request, so that the second, harder one is needed.
    let script = format!(
        "trap '' TERM\necho $$ > {}\nwhile true; do sleep 600; done\n",
        started.display()
    );
    p.function(COPY, &script).await;
    let running = p.start_one("data", "in/1", "").await;
    let script_id = read_pipe(started).await;
    let waiting = p.start_one("data", "in/2", "").await;
    assert_eq!(
        p.api.invocation(waiting).await.unwrap().state,
        State::Pending
    );

    p.api.cancel(waiting).await.unwrap();
    assert_eq!(p.ended(waiting).await.state, State::Cancelled);
    p.api.cancel(running).await.unwrap();
    assert_eq!(p.ended(running).await.state, State::Cancelled);
    assert!(!Path::new(&format!("/proc/{script_id}")).exists());
    let again = p.api.cancel(running).await.unwrap_err();
    assert!(
        again.to_string().contains("has ended: Cancelled"),
        "{again}"
    );
    p.stop().await;
}

#[tokio::test]
async fn a_script_that_takes_too_long_is_stopped() {
    let p = Platform::start().await;
    p.function(&format!("{COPY}timeout: 1s\n"), "exec sleep 600\n")
        .await;
    let done = p.run("data", "in/x", "").await;
    assert_eq!(done.state, State::Failed);
    assert!(done.error.unwrap().contains("time limit of 1 s"));
    p.stop().await;
}

#[tokio::test]
async fn the_same_waiting_object_is_worked_on_once() {
    let dir = tempfile::tempdir().unwrap();
    let p = Platform::start_in(
        dir,
        |c: &mut Config| c.limits.total = 1,
        Services::default(),
    )
    .await;
    let (up, go) = (p.path("up"), p.path("go"));
    pipe(&up);
    pipe(&go);
    p.function(
        "name: block\ninput: [{path: block}]\n",
        &format!("echo up > {}\nread x < {}\n", up.display(), go.display()),
    )
    .await;
    p.function(COPY, "true\n").await;
    let blocker = p.start_one("block", "x", "").await;
    read_pipe(up).await;
    assert_eq!(p.upload("data", "in/x", "same").await.len(), 1);
    assert_eq!(
        p.upload("data", "in/x", "same").await.len(),
        1,
        "it has not even begun"
    );
    assert_eq!(
        p.upload("data", "in/x", "other").await.len(),
        2,
        "new content is new work"
    );
    write_pipe(go).await;
    p.ended(blocker).await;
    for invocation in p.of("data", "in/x").await {
        assert_eq!(p.ended(invocation.id).await.state, State::Succeeded);
    }
    p.stop().await;
}
