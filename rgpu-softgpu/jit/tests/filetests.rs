//! Runs every file of `rgpu-softgpu/filetests`: kernels with their inputs and expected outputs in comments.

#[path = "support/script.rs"]
mod script;
mod support;

use std::path::{Path, PathBuf};

use rgpu_softgpu_exec::exec::LaunchError;
use rgpu_softgpu_jit::Program;
use script::{Param, Run};
use support::TestDevice;

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../filetests");
    let entries = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries
        .filter(|path| path.extension().is_some_and(|ext| ext == "ptx"))
        .collect();
    files.sort();
    files
}

/// Set to a part of a file's name to run only those.
fn wanted(path: &Path) -> bool {
    let filter = std::env::var("RGPU_FILETEST").unwrap_or_default();
    path.file_name()
        .is_some_and(|name| name.to_string_lossy().contains(&filter))
}

#[test]
fn every_file() {
    let mut failures = Vec::new();
    let mut runs = 0;
    for path in files().into_iter().filter(|path| wanted(path)) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        let script = script::parse(&text);
        assert!(!script.is_empty(), "{name} runs nothing");
        // With and without trust in the parameters, since accesses are compiled in two ways.
        for trusting in [true, false] {
            let program = match Program::load(&text, &TestDevice::get()) {
                Ok(program) => program,
                Err(error) => {
                    failures.push(format!("{name}: {error}"));
                    continue;
                }
            };
            for run in &script {
                runs += 1;
                for failure in perform(&program, run, trusting) {
                    let line = run.line;
                    failures.push(format!(
                        "{name}, line {line}: {failure} (trusting: {trusting})"
                    ));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(runs > 0, "nothing was run");
}

/// Performs one run; gives what is wrong.
fn perform(program: &Program, run: &Run, trusting: bool) -> Vec<String> {
    let kernel = run
        .kernel
        .clone()
        .unwrap_or_else(|| program.kernels()[0].name.clone());
    let compiled = program.compile(&kernel);
    match (&run.refuse, compiled) {
        (Some(words), Err(error)) if error.to_string().contains(words.as_str()) => {
            return Vec::new();
        }
        (Some(words), Err(error)) => return vec![format!("refused, but not for {words}: {error}")],
        (Some(words), Ok(_)) => return vec![format!("compiled, though {words} was expected")],
        (None, Err(error)) => return vec![error.to_string()],
        (None, Ok(_)) => {}
    }
    launch(program, &kernel, run, trusting)
}

fn launch(program: &Program, kernel: &str, run: &Run, trusting: bool) -> Vec<String> {
    let device = TestDevice::get();
    let mut buffers = Vec::new();
    let mut params = vec![0; program.kernel(kernel).unwrap().params_size as usize];
    let layout = &program.kernel(kernel).unwrap().params;
    assert_eq!(
        layout.len(),
        run.params.len(),
        "{kernel}: number of parameters"
    );
    for (place, param) in layout.iter().zip(&run.params) {
        let bytes = match param {
            Param::Value(values) => values.bytes.clone(),
            Param::Buffer { before, after } => {
                let address = device.upload(&before.bytes);
                buffers.push((address, before.bytes.len(), after.clone()));
                address.to_le_bytes().to_vec()
            }
        };
        let start = place.offset as usize;
        params[start..start + bytes.len()].copy_from_slice(&bytes);
    }
    let (result, printed) = device.launch(program, kernel, &run.shape, &params, trusting);
    let mut failures = Vec::new();
    match (&run.trap, result) {
        (None, Ok(())) => {}
        (Some(want), Err(LaunchError::Fault(fault))) if *want == format!("{:?}", fault.trap) => {}
        (want, got) => failures.push(format!("expected {want:?}, got {got:?}")),
    }
    for (at, (address, size, after)) in buffers.into_iter().enumerate() {
        if let Some(after) = after {
            let got = device.download(address, size);
            let found = script::differences(&after, &got);
            failures.extend(
                found
                    .into_iter()
                    .take(8)
                    .map(|text| format!("buffer {at} {text}")),
            );
        }
        device.free(address);
    }
    if let Some(want) = run.prints.as_ref().filter(|want| **want != printed) {
        failures.push(format!("expected to print {want:?}, printed {printed:?}"));
    }
    failures
}
