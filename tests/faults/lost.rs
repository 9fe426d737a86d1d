//! Peers that are not there, or go away.

use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::Instant;

use rgpu_tests::{HANG, Running, Server, run, run_on};

use crate::{built, probe};

/// `CUDA_ERROR_NO_DEVICE`.
const NO_DEVICE: i32 = 100;

fn assert_no_device(url: &str, why: &str) {
    let out = run(&mut run_on(&built().join("rgpu"), url, probe(), &["sum"]));
    assert_eq!(out.status.code(), Some(NO_DEVICE), "{out:?}");
    assert_eq!(out.stdout, "cuInit 100\n");
    assert_eq!(out.stderr.lines().count(), 1, "{out:?}");
    assert!(
        out.stderr.contains(url) && out.stderr.contains(why),
        "{out:?}"
    );
}

#[test]
fn nobody_listens_at_the_address() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("port");
    let url = format!("tcp://{}", listener.local_addr().expect("address"));
    drop(listener);
    assert_no_device(&url, "refused");
    assert_no_device("unix:/nonexistent/rgpu.sock", "no such socket");
}

#[test]
fn the_server_accepts_and_says_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("port");
    let url = format!("tcp://{}", listener.local_addr().expect("address"));
    assert_no_device(&url, "timed out");
}

/// As a program meets it that was given its environment by hand; `rgpu run` refuses such an address itself.
#[test]
fn the_address_is_none() {
    let libraries = rgpu_tests::client_libraries(&built());
    let mut program = Command::new(probe());
    program
        .arg("sum")
        .env("LD_LIBRARY_PATH", libraries)
        .env("RGPU_SERVER", "unix:relative");
    let out = run(program.stdout(Stdio::piped()).stderr(Stdio::piped()));
    assert_eq!(out.status.code(), Some(NO_DEVICE), "{out:?}");
    assert!(
        out.stderr.contains("unix:relative") && out.stderr.contains("absolute path"),
        "{out:?}"
    );
}

#[test]
fn a_server_killed_in_mid_run_is_an_error_not_a_hang() {
    let mut server = Server::start(&built(), "512Mi");
    let running = Running::start(&mut server.command(probe(), &["loop"]));
    running.wait_for("summed");
    server.kill();
    let out = running.finish();
    assert!(
        out.status.code().is_some_and(|code| code != 0),
        "an error, no signal: {out:?}"
    );
    assert_eq!(out.stderr.lines().count(), 1, "{out:?}");
}

#[test]
fn a_server_killed_while_a_kernel_runs_wakes_the_waiting_client() {
    let mut server = Server::start(&built(), "512Mi");
    let running = Running::start(&mut server.command(probe(), &["spin"]));
    running.wait_for("spinning");
    server.kill();
    let out = running.finish();
    assert!(out.status.code().is_some_and(|code| code != 0), "{out:?}");
}

#[test]
fn what_a_killed_client_held_is_free_again_and_others_go_on() {
    let server = Server::start(&built(), "512Mi");
    let mut killed = Running::start(&mut server.command(probe(), &["spin"]));
    killed.wait_for("spinning");
    let other = Running::start(&mut server.command(probe(), &["loop"]));
    other.wait_for("summed");
    assert_eq!(clients(&server), 2);
    killed.child.kill().expect("kill");
    killed.child.wait().expect("wait");
    let deadline = Instant::now() + HANG;
    while clients(&server) != 1 {
        assert!(
            Instant::now() < deadline,
            "the killed client is still there: {}",
            server.inventory()
        );
        std::thread::yield_now();
    }
    let free = server.inventory()["devices"][0]["free_memory"]
        .as_u64()
        .expect("number");
    assert_eq!(free, (512 - 64) << 20);
    other.wait_for("summed");
    other.wait_for("summed");
}

#[test]
fn a_client_that_is_ended_by_the_operator_gets_an_error() {
    let server = Server::start(&built(), "512Mi");
    let running = Running::start(&mut server.command(probe(), &["spin"]));
    running.wait_for("spinning");
    let session = server.inventory()["clients"][0]["session"].to_string();
    let ended = Command::new(built().join("rgpu"))
        .args(["smi", "--server", &server.tcp, "--end", &session])
        .output()
        .expect("rgpu smi");
    assert!(ended.status.success(), "{ended:?}");
    assert_eq!(clients(&server), 0);
    let out = running.finish();
    assert!(out.status.code().is_some_and(|code| code != 0), "{out:?}");
}

fn clients(server: &Server) -> usize {
    server.inventory()["clients"]
        .as_array()
        .expect("list")
        .len()
}

#[test]
fn a_lease_that_does_not_fit_is_refused_in_words() {
    let server = Server::start(&built(), "128Mi");
    let first = Running::start(&mut server.command(probe(), &["spin"]));
    first.wait_for("spinning");
    let second = Running::start(&mut server.command(probe(), &["spin"]));
    second.wait_for("spinning");
    let out = run(&mut server.command(probe(), &["sum"]));
    assert_eq!(out.status.code(), Some(NO_DEVICE), "{out:?}");
    assert!(
        out.stderr
            .contains("64 MiB of GPU memory asked for, 0 MiB free"),
        "{out:?}"
    );
    for mut running in [first, second] {
        running.child.kill().expect("kill");
        running.child.wait().expect("wait");
    }
}

#[test]
fn a_server_that_is_stopped_ends_its_sessions() {
    let mut server = Server::start(&built(), "128Mi");
    let running = Running::start(&mut server.command(probe(), &["spin"]));
    running.wait_for("spinning");
    server.interrupt();
    let out = running.finish();
    assert!(out.status.code().is_some_and(|code| code != 0), "{out:?}");
}
