//! Parses and validates every body of the PTX files named on the command line and says what is wrong with them.

use std::{env, fs, process::ExitCode, time::Instant};

use rgpu_ptx::{Module, validate::validate};

fn main() -> ExitCode {
    let mut bad = 0;
    for path in env::args().skip(1) {
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) => {
                eprintln!("{path}: {error}");
                bad += 1;
                continue;
            }
        };
        let start = Instant::now();
        let module = match Module::parse_bytes(&bytes) {
            Ok(module) => module,
            Err(error) => {
                eprintln!("{path}: {error}");
                bad += 1;
                continue;
            }
        };
        let indexed = start.elapsed();
        let (mut bodies, mut statements) = (0, 0);
        for function in module.functions.iter().filter(|f| f.body.is_some()) {
            let body = function.parse_body(&module).and_then(|body| {
                validate(&module, function, &body)?;
                Ok(body)
            });
            match body {
                Ok(body) => {
                    bodies += 1;
                    statements += body.statements.len();
                }
                Err(error) => {
                    eprintln!("{path}: {error}");
                    bad += 1;
                }
            }
        }
        let total = start.elapsed();
        println!(
            "{path}: {bodies} bodies, {statements} statements, index {indexed:?}, all {total:?}"
        );
    }
    if bad == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
