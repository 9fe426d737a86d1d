//! Calls of cuBLAS, cuBLASLt and cuDNN, forwarded whole through a session, and directly to the software GPU's.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rgpu_tests::{Outcome, Server, run};

fn probe() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_library-probe"))
}

fn built() -> PathBuf {
    rgpu_tests::built(env!("CARGO_BIN_EXE_library-probe"))
}

/// What the probe did through a server, and without one.
fn both(mode: &str) -> [Outcome; 2] {
    let server = Server::start(&built(), "512Mi");
    let mut local = Command::new(built().join("rgpu"));
    local.args(["local", "--"]).arg(probe()).arg(mode);
    local
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    [run(&mut server.command(probe(), &[mode])), run(&mut local)]
}

fn assert_prints(mode: &str, lines: &str) {
    for out in both(mode) {
        assert_eq!(out.stdout, lines, "{out:?}");
        assert!(out.status.success(), "{out:?}");
    }
}

#[test]
fn cublas_multiplies() {
    assert_prints(
        "blas",
        "stream true\nhost scalars right\ndevice scalars right\npointer mode 1\nhost result right\n\
         batch, first right\nbatch, second right\n",
    );
}

/// A posted call's error is told by the next answer of the library, once; directly, by the call.
#[test]
fn cublas_refuses() {
    let rest = "refused true\nunchanged right\nversion 12\nnext right\ncublasSetPointerMode_v2 1\n";
    for (out, teller) in both("blas-error")
        .iter()
        .zip(["cublasGetVersion_v2", "cublasSgemm_v2"])
    {
        assert_eq!(out.stdout, format!("{teller} 7\n{rest}"), "{out:?}");
        assert_eq!(out.status.code(), Some(1), "{out:?}");
    }
}

#[test]
fn cublaslt_multiplies_adds_and_cuts_off() {
    assert_prints("lt", "found true state 0\nproduct right\n");
}

#[test]
fn cudnn_convolves() {
    assert_prints(
        "dnn",
        "shape [2, 4, 3, 4]\nconvolution right\nreserve true\ncudnnSetTensor4dDescriptor 2000\ngone true\n",
    );
}

#[test]
fn cudnn_convolves_by_a_graph() {
    assert_prints("dnn-graph", "found 1\nworkspace true\ngraph right\n");
}

#[test]
fn cudnn_fuses_a_graph() {
    assert_prints("dnn-fused", "found 1\nworkspace true\nfused right\n");
}
