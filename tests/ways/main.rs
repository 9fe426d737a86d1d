//! The ways in which a program finds the client library, and a program that does not look for it.

use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rgpu_tests::{Outcome, Running, Server, run};

fn probe() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_driver-probe"))
}

fn built() -> PathBuf {
    rgpu_tests::built(env!("CARGO_BIN_EXE_driver-probe"))
}

/// Folder with the client's `libcuda.so.1`.
fn libraries(built: &Path) -> PathBuf {
    rgpu_tests::client_libraries(built)
}

fn program(server: &str, path: &Path) -> Command {
    let mut command = Command::new(path);
    command
        .env("RGPU_SERVER", server)
        .env("RGPU_MEMORY", "64Mi")
        .stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn assert_right(out: &Outcome) {
    assert!(out.status.success(), "{out:?}");
    assert_eq!(out.stdout, "right\n".repeat(20));
    assert_eq!(out.stderr, "", "nothing is printed unless asked for");
}

#[test]
fn a_folder_first_in_the_library_path() {
    let server = Server::start(&built(), "512Mi");
    let folder = libraries(&built());
    for url in [&server.tcp, &server.unix] {
        assert_right(&run(program(url, probe())
            .arg("sum")
            .env("LD_LIBRARY_PATH", &folder)));
    }
}

#[test]
fn a_unix_socket_is_used_for_shared_memory_unless_turned_off() {
    let server = Server::start(&built(), "512Mi");
    let folder = libraries(&built());
    let shares = |url: &str, shm: &str| {
        let out = run(program(url, probe())
            .arg("sum")
            .env("LD_LIBRARY_PATH", &folder)
            .env("RGPU_SHM", shm)
            .env("RGPU_LOG", "debug"));
        assert!(out.status.success(), "{out:?}");
        assert_eq!(out.stdout, "right\n".repeat(20));
        out.stderr.contains("through shared memory")
    };
    assert!(shares(&server.unix, ""));
    assert!(shares(&format!("{}?delay=1ms", server.unix), ""));
    assert!(!shares(&server.unix, "0"));
    assert!(!shares(&server.tcp, ""));
}

/// As `ssh -L` or `socat` do: bytes go through, descriptors do not.
#[test]
fn a_unix_socket_that_is_forwarded_works_without_shared_memory() {
    let server = Server::start(&built(), "512Mi");
    let path = std::env::temp_dir().join(format!("rgpu-forward-{}", std::process::id()));
    let listener = UnixListener::bind(&path).expect("bind");
    let target = server
        .unix
        .strip_prefix("unix:")
        .expect("a path")
        .to_owned();
    std::thread::spawn(move || {
        let (client, _) = listener.accept().expect("accept");
        let server = UnixStream::connect(target).expect("connect");
        let pass = |mut from: UnixStream, mut to: UnixStream| {
            std::thread::spawn(move || {
                // Ends with either side.
                let _ = std::io::copy(&mut from, &mut to);
                let _ = to.shutdown(Shutdown::Both);
            })
        };
        pass(
            client.try_clone().expect("clone"),
            server.try_clone().expect("clone"),
        );
        pass(server, client);
    });
    let out = run(program(&format!("unix:{}", path.display()), probe())
        .arg("sum")
        .env("LD_LIBRARY_PATH", libraries(&built())));
    std::fs::remove_file(path).expect("it is there");
    assert_right(&out);
}

#[test]
fn the_library_preloaded() {
    let server = Server::start(&built(), "512Mi");
    let library = libraries(&built()).join("libcuda.so.1");
    assert_right(&run(program(&server.tcp, probe())
        .arg("sum")
        .env("LD_PRELOAD", library)));
}

#[test]
fn polling_events_costs_no_round_trips() {
    let server = Server::start(&built(), "512Mi");
    let stats = std::env::temp_dir().join(format!("rgpu-poll-{}.json", std::process::id()));
    let out = run(program(&server.tcp, probe())
        .arg("poll")
        .env("LD_LIBRARY_PATH", libraries(&built()))
        .env("RGPU_STATS", &stats));
    assert!(out.status.success(), "{out:?}");
    assert_eq!(out.stdout, "polled\n");
    let account: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&stats).expect("statistics")).expect("JSON");
    std::fs::remove_file(&stats).expect("it is there");
    // The module is loaded; nothing else waits.
    assert_eq!(account["round_trips"], 1, "{account}");
}

#[test]
fn rgpu_run_adds_to_what_the_variables_hold() {
    let show = "echo $LD_PRELOAD; echo $LD_LIBRARY_PATH";
    let mut command = Command::new(built().join("rgpu"));
    command.args([
        "run",
        "--server",
        "tcp://127.0.0.1:1",
        "--",
        "sh",
        "-c",
        show,
    ]);
    let libc = libraries(&built()).join("libcuda.so.1");
    command
        .env("LD_PRELOAD", &libc)
        .env("LD_LIBRARY_PATH", "/opt/one:/opt/two");
    let out = run(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
    let lines: Vec<_> = out.stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{out:?}");
    assert!(
        lines[0].ends_with(&format!(":{}", libc.display())),
        "{}",
        lines[0]
    );
    assert!(
        lines[1].ends_with("/client:/opt/one:/opt/two"),
        "{}",
        lines[1]
    );
}

/// No connection, no thread, no word: the address leads nowhere and nobody minds.
#[test]
fn a_program_without_cuda_is_not_touched() {
    let library = libraries(&built()).join("libcuda.so.1");
    let mut command = program("tcp://127.0.0.1:1", Path::new("grep"));
    let out = run(command
        .args(["Threads", "/proc/self/status"])
        .env("LD_PRELOAD", library));
    assert!(out.status.success(), "{out:?}");
    assert_eq!(out.stdout, "Threads:\t1\n");
    assert_eq!(out.stderr, "");
}

#[test]
fn what_is_asked_for_is_logged_to_stderr_alone() {
    let server = Server::start(&built(), "512Mi");
    let folder = libraries(&built());
    let mut command = program(&server.tcp, probe());
    let out = run(command
        .arg("sum")
        .env("LD_LIBRARY_PATH", folder)
        .env("RGPU_LOG", "debug"));
    assert!(out.status.success(), "{out:?}");
    assert_eq!(out.stdout, "right\n".repeat(20));
    assert!(out.stderr.contains(&server.tcp), "{}", out.stderr);
}

/// The value of each event of one phase.
fn of_phase<'a>(trace: &'a serde_json::Value, phase: &str) -> Vec<&'a serde_json::Value> {
    let events = trace["traceEvents"].as_array().expect("events");
    events.iter().filter(|event| event["ph"] == phase).collect()
}

fn traced(server: &Server, out: &Path, mode: &str) -> Command {
    let mut command = Command::new(built().join("rgpu"));
    command
        .args([
            "trace",
            "--server",
            &server.tcp,
            "--memory",
            "64Mi",
            "--out",
        ])
        .arg(out)
        .arg("--")
        .arg(probe())
        .arg(mode);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

#[test]
fn a_trace_says_what_a_program_waited_for() {
    let server = Server::start(&built(), "512Mi");
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("sum.json");
    let out = run(&mut traced(&server, &file, "sum"));
    assert!(out.status.success(), "{out:?}");
    assert_eq!(out.stdout, "right\n".repeat(20), "the program's own");
    let row = out
        .stderr
        .lines()
        .find(|line| line.contains("cuMemcpyDtoH_v2"))
        .expect("a row");
    let cells: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(
        cells[1..4],
        ["custom", "20", "20"],
        "class, calls, round trips: {row}"
    );
    // Where the program asked for the sum.
    assert!(
        out.stderr.contains("in 20 waits") && out.stderr.contains("driver_probe"),
        "{}",
        out.stderr
    );
    let trace = std::fs::read(&file).expect("the trace");
    let trace: serde_json::Value = serde_json::from_slice(&trace).expect("JSON");
    let spans = of_phase(&trace, "X");
    let named = |name: &str| spans.iter().filter(|span| span["name"] == name).count();
    assert_eq!(
        (named("cuLaunchKernel"), named("cuMemcpyDtoH_v2")),
        (20, 20)
    );
    // Each span of a thread lies within the one that it began in, or behind it.
    let mut lanes = std::collections::BTreeMap::<i64, Vec<(f64, f64)>>::new();
    for span in &spans {
        let number = |key: &str| span[key].as_f64().expect("a number");
        let lane = lanes
            .entry(span["tid"].as_i64().expect("a thread"))
            .or_default();
        lane.push((number("ts"), number("ts") + number("dur")));
    }
    for lane in lanes.values_mut() {
        lane.sort_by(|a, b| a.0.total_cmp(&b.0).then(b.1.total_cmp(&a.1)));
        let mut open: Vec<f64> = Vec::new();
        for (start, end) in lane {
            open.retain(|outer| *outer > *start);
            assert!(
                open.iter().all(|outer| *end <= outer + 0.001),
                "spans cross"
            );
            open.push(*end);
        }
    }
    // Every round trip that begins also ends.
    let ids = |phase| {
        of_phase(&trace, phase)
            .iter()
            .map(|e| e["id"].to_string())
            .collect::<Vec<_>>()
    };
    assert!(ids("b").len() >= 20);
    assert_eq!(ids("b"), ids("e"));
    let mut counted = of_phase(&trace, "C")
        .into_iter()
        .filter(|point| point["name"] == "bytes sent");
    let sums: Vec<u64> = counted
        .by_ref()
        .map(|point| point["args"]["bytes"].as_u64().expect("bytes"))
        .collect();
    // Twenty arrays of 4096 numbers went there.
    assert!(
        sums.is_sorted() && sums.last() > Some(&(20 * 4096 * 4)),
        "{sums:?}"
    );
}

#[test]
fn a_program_that_is_interrupted_is_traced_up_to_then() {
    let server = Server::start(&built(), "512Mi");
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("loop.json");
    let running = Running::start(&mut traced(&server, &file, "loop"));
    running.wait_for("summed");
    // SAFETY: a plain system call; the child has not been waited for.
    unsafe { libc::kill(running.child.id() as i32, libc::SIGTERM) };
    let out = running.finish();
    assert_eq!(out.status.code(), Some(128 + libc::SIGTERM), "{out:?}");
    assert!(
        out.stderr.contains("was killed or left by _exit"),
        "{}",
        out.stderr
    );
    let trace: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&file).expect("the trace")).expect("JSON");
    let copies = of_phase(&trace, "X")
        .into_iter()
        .filter(|span| span["name"] == "cuMemcpyDtoH_v2");
    assert!(copies.count() >= 1);
}
