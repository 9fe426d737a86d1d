//! What a restart finds and does, after an orderly end and after none.

use std::path::{Path, PathBuf};

use rgpu_sched::queue::{InvocationId, State};
use rgpu_sched::{Config, Scheduler, Services, StartError};

use crate::common::{COPY, Platform, pipe, read_pipe, unchanged};

#[tokio::test]
async fn a_job_cut_off_by_a_restart_is_run_once_more() {
    let p = Platform::start().await;
    let (started, marker) = (p.path("started"), p.path("marker"));
    pipe(&started);
    let script = format!(
        "if [ -e {m} ]; then echo second > $TMP_OUTPUT_DIR/which; exit 0; fi\ntouch {m}\necho up > {s}\nexec sleep 600\n",
        m = marker.display(),
        s = started.display()
    );
    p.function(COPY, &script).await;
    let id = p.start_one("data", "in/x", "").await;
    assert_eq!(read_pipe(started).await, "up");
    let p = Platform::start_in(p.stop().await, unchanged, Services::default()).await;
    let done = p.ended(id).await;
    assert_eq!((done.state, done.attempt), (State::Succeeded, 2));
    assert_eq!(p.s3.get("data", "out/which").await.text(), "second\n");
    assert!(p.log(id).await.contains("interrupted: the scheduler ends"));
    p.stop().await;
}

#[tokio::test]
async fn a_job_that_is_cut_off_every_time_fails() {
    let mut p = Platform::start().await;
    let started = p.path("started");
    pipe(&started);
    p.function(
        COPY,
        &format!("echo up > {}\nexec sleep 600\n", started.display()),
    )
    .await;
    let id = p.start_one("data", "in/x", "").await;
    for _ in 0..2 {
        assert_eq!(read_pipe(started.clone()).await, "up");
        p = Platform::start_in(p.stop().await, unchanged, Services::default()).await;
    }
    let done = p.ended(id).await;
    assert_eq!(done.state, State::Failed);
    assert!(done.error.unwrap().starts_with("scheduler restarted"));
    p.stop().await;
}

#[tokio::test]
async fn one_folder_serves_one_scheduler() {
    let p = Platform::start().await;
    let second = Scheduler::start(Config::new(p.path("data"))).await;
    assert!(matches!(second, Err(StartError::InUse(_))), "{second:?}");
    p.stop().await;
}

/// Where the victim below works; its folder is the parent's.
const VICTIM: &str = "RGPU_TEST_VICTIM";

/// Runs a scheduler in a process of its own, and dies like one that was killed, in the middle of a job.
#[tokio::test]
#[ignore = "started by a_killed_scheduler_leaves_nothing_running"]
async fn victim() {
    let folder = PathBuf::from(std::env::var_os(VICTIM).expect("set by the test that starts it"));
    let started = folder.join("started");
    let mut config = Config::new(folder.join("data"));
    config.limits.total = 1;
    let p = Platform::start_with(tempfile::tempdir().unwrap(), config, Services::default()).await;
    let script = format!(
        "if [ -e {m} ]; then exit 0; fi\ntouch {m}\necho $$ > {s}\nexec sleep 600\n",
        m = folder.join("marker").display(),
        s = started.display()
    );
    p.function(COPY, &script).await;
    p.start_one("data", "in/running", "").await;
    p.start_one("data", "in/waiting", "").await;
    std::fs::write(folder.join("script-id"), read_pipe(started).await).unwrap();
    std::process::abort();
}

#[tokio::test]
async fn a_killed_scheduler_leaves_nothing_running() {
    let dir = tempfile::tempdir().unwrap();
    pipe(&dir.path().join("started"));
    let mut victim = tokio::process::Command::new(std::env::current_exe().unwrap());
    victim
        .args(["--ignored", "--exact", "restart::victim"])
        .env(VICTIM, dir.path());
    let status = victim.output().await.unwrap().status;
    assert!(!status.success());
    let script_id = std::fs::read_to_string(dir.path().join("script-id")).unwrap();
    let script = PathBuf::from(format!("/proc/{script_id}/cmdline"));
    let running = std::fs::read_to_string(&script).unwrap();
    assert!(!running.is_empty(), "the job outlived its scheduler");

    let p = Platform::start_in(dir, unchanged, Services::default()).await;
    let command = std::fs::read(&script).unwrap_or_default();
    assert!(
        command.is_empty(),
        "the old job is gone, or a zombie without a command"
    );
    for (id, attempt) in [(1, 2), (2, 1)] {
        let done = p.ended(InvocationId(id)).await;
        assert_eq!(
            (done.state, done.attempt),
            (State::Succeeded, attempt),
            "{}",
            p.log(done.id).await
        );
    }
    assert!(
        !Path::new(&p.path("data/work"))
            .read_dir()
            .unwrap()
            .any(|_| true),
        "no folder of a job is left"
    );
    p.stop().await;
}
