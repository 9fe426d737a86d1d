//! `check FILE…` parses and validates every body of PTX files and says what is wrong with them;
//! `check --print FILE` prints the module back from its tree.

use std::{env, fs, process::ExitCode, time::Instant};

use rgpu_ptx::{Module, print, validate::validate};

fn main() -> ExitCode {
    let mut args: Vec<String> = env::args().skip(1).collect();
    let printing = args.first().is_some_and(|a| a == "--print");
    if printing {
        args.remove(0);
    }
    let mut bad = 0;
    for path in &args {
        let result = if printing { reprint(path) } else { check(path) };
        for error in result {
            eprintln!("{path}: {error}");
            bad += 1;
        }
    }
    if bad == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn load(path: &str) -> Result<Module, String> {
    let bytes = fs::read(path).map_err(|e| e.to_string())?;
    Module::parse_bytes(&bytes).map_err(|e| e.to_string())
}

/// Prints the module; what went wrong.
fn reprint(path: &str) -> Vec<String> {
    match load(path).and_then(|module| print::module(&module).map_err(|e| e.to_string())) {
        Ok(text) => {
            println!("{text}");
            Vec::new()
        }
        Err(error) => vec![error],
    }
}

/// Checks all bodies; what went wrong.
fn check(path: &str) -> Vec<String> {
    let start = Instant::now();
    let module = match load(path) {
        Ok(module) => module,
        Err(error) => return vec![error],
    };
    let indexed = start.elapsed();
    let mut errors = Vec::new();
    let (mut bodies, mut statements) = (0, 0);
    for function in module.functions.iter().filter(|f| f.body.is_some()) {
        let result = function.parse_body(&module).and_then(|body| {
            bodies += 1;
            statements += body.statements.len();
            validate(&module, function, &body)
        });
        errors.extend(result.err().map(|e| e.to_string()));
    }
    let all = start.elapsed();
    println!("{path}: {bodies} bodies, {statements} statements, index {indexed:?}, all {all:?}");
    errors
}
