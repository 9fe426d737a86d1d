//! Errors that stay with their tenant.

use rgpu_tests::{Running, Server};

use crate::{built, probe};

/// `CUDA_ERROR_ILLEGAL_ADDRESS`.
const ILLEGAL_ADDRESS: i32 = 700;

#[test]
fn a_poisoned_context_stays_with_its_client() {
    let server = Server::start(&built(), "1Gi");
    let modes = ["sum", "sum", "sum", "wild", "sum", "sum", "sum", "sum"];
    let running: Vec<_> = modes
        .iter()
        .map(|mode| Running::start(&mut server.command(probe(), &[mode])))
        .collect();
    for (mode, running) in modes.iter().zip(running) {
        let out = running.finish();
        if *mode == "wild" {
            assert_eq!(out.status.code(), Some(ILLEGAL_ADDRESS % 256), "{out:?}");
            assert_eq!(out.stdout, "cuCtxSynchronize 700\ncuMemAlloc_v2 700\n");
        } else {
            assert_eq!(out.status.code(), Some(0), "{out:?}");
            assert_eq!(out.stdout, "right\n".repeat(20));
        }
    }
}

#[test]
fn the_native_library_says_the_same() {
    let out = rgpu_tests::run(
        std::process::Command::new(built().join("rgpu"))
            .arg("local")
            .arg("--")
            .arg(probe())
            .arg("wild")
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped()),
    );
    assert_eq!(out.status.code(), Some(ILLEGAL_ADDRESS % 256), "{out:?}");
    assert_eq!(out.stdout, "cuCtxSynchronize 700\ncuMemAlloc_v2 700\n");
}
