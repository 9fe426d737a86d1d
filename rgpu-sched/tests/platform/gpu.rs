//! Jobs with a share of a GPU, with devices that are only on paper: leases, placement, wrapper and statistics.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rgpu_sched::broker::{GpuDevice, GpuInventory, InventoryError, StaticInventory};
use rgpu_sched::launcher::GpuWrapper;
use rgpu_sched::queue::State;
use rgpu_sched::{Config, Services};
use tokio::sync::watch;

use crate::common::{PATIENCE, Platform, pipe, read_pipe, write_pipe};

const SERVER: &str = "tcp://gpu.example:4747";
const GPU: &str =
    "name: gpu\ninput: [{path: data/in}]\noutput: [{path: data/out}]\ngpu: {memory: 600Mi}\n";

fn with_gpu(config: &mut Config) {
    config.gpu_refresh = Duration::from_millis(20);
    config.gpu_servers = vec![SERVER.to_owned()];
    let wrapper = [
        "/bin/sh",
        "-c",
        r#"echo "wrapped $*"; echo "{\"round_trips\": 7}" > "$RGPU_STATS"; shift 3; exec "$@""#,
        "wrapper",
        "{server}",
        "{memory}",
        "{memory_bytes}",
    ];
    config.gpu_wrapper = GpuWrapper(wrapper.map(str::to_owned).to_vec());
}

fn device() -> GpuDevice {
    GpuDevice {
        index: 0,
        name: "paper".into(),
        uuid: "GPU-0".into(),
        total_memory: 1 << 30,
        free_memory: 1 << 30,
    }
}

async fn with_inventory(inventory: impl GpuInventory + 'static) -> Platform {
    let services = Services {
        inventory: Some(Arc::new(inventory)),
        backend: None,
    };
    Platform::start_in(tempfile::tempdir().unwrap(), with_gpu, services).await
}

async fn platform() -> Platform {
    let devices = BTreeMap::from([(SERVER.to_owned(), vec![device()])]);
    with_inventory(StaticInventory(devices)).await
}

/// A server that can be silent, and counts how often it was asked.
#[derive(Debug, Clone, Default)]
struct Moody {
    up: Arc<AtomicBool>,
    asked: Arc<watch::Sender<u32>>,
}

#[async_trait::async_trait]
impl GpuInventory for Moody {
    async fn devices(&self, _url: &str) -> Result<Vec<GpuDevice>, InventoryError> {
        let up = self.up.load(Ordering::SeqCst);
        self.asked.send_modify(|n| *n += 1);
        if up {
            Ok(vec![device()])
        } else {
            Err(InventoryError::new("connection refused"))
        }
    }
}

#[tokio::test]
async fn a_job_waits_for_a_server_that_is_away() {
    let server = Moody::default();
    let p = with_inventory(server.clone()).await;
    p.function(GPU, "true\n").await;
    let id = p.start_one("data", "in/x", "").await;
    // Asked again and again without any further request.
    let mut asked = server.asked.subscribe();
    let several = asked.wait_for(|n| *n >= 4);
    tokio::time::timeout(PATIENCE, several)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(p.api.invocation(id).await.unwrap().state, State::Pending);
    let view = p.api.gpus().await.unwrap().servers.remove(0);
    assert_eq!(view.error.as_deref(), Some("connection refused"));
    server.up.store(true, Ordering::SeqCst);
    assert_eq!(p.ended(id).await.state, State::Succeeded);
    p.stop().await;
}

#[tokio::test]
async fn a_job_gets_its_share_through_the_wrapper() {
    let p = platform().await;
    p.function(GPU, "echo \"$RGPU_SERVER\" > $TMP_OUTPUT_DIR/server\n")
        .await;
    let done = p.run("data", "in/x", "").await;
    assert_eq!(done.state, State::Succeeded, "{}", p.log(done.id).await);
    let lease = done.gpu.as_ref().unwrap();
    assert_eq!(
        (
            lease.server.as_str(),
            lease.memory,
            lease.device_name.as_str()
        ),
        (SERVER, 600 << 20, "paper")
    );
    assert_eq!(done.stats.as_ref().unwrap()["round_trips"], 7);
    let log = p.log(done.id).await;
    assert!(
        log.contains(&format!("wrapped {SERVER} 600Mi 629145600 /bin/sh")),
        "{log}"
    );
    assert_eq!(
        p.s3.get("data", "out/server").await.text(),
        format!("{SERVER}\n")
    );
    p.stop().await;
}

#[tokio::test]
async fn jobs_that_do_not_fit_together_take_turns() {
    let p = platform().await;
    let (up, go) = (p.path("up"), p.path("go"));
    pipe(&up);
    pipe(&go);
    p.function(
        GPU,
        &format!("echo up > {}\nread x < {}\n", up.display(), go.display()),
    )
    .await;
    let first = p.start_one("data", "in/1", "").await;
    read_pipe(up.clone()).await;
    let second = p.start_one("data", "in/2", "").await;
    let device = p.api.gpus().await.unwrap().servers[0].devices[0].clone();
    assert_eq!(
        (device.leased, device.available),
        (600 << 20, (1024 - 600) << 20)
    );
    assert_eq!(
        p.api.invocation(second).await.unwrap().state,
        State::Pending
    );
    write_pipe(go.clone()).await;
    assert_eq!(p.ended(first).await.state, State::Succeeded);
    read_pipe(up).await;
    write_pipe(go).await;
    let second = p.ended(second).await;
    assert_eq!(second.state, State::Succeeded);
    assert!(
        second.times.prepare.unwrap()
            >= p.api.invocation(first).await.unwrap().times.output.unwrap()
    );
    p.stop().await;
}

#[tokio::test]
async fn what_no_gpu_can_hold_fails_at_once() {
    let p = platform().await;
    p.function(&GPU.replace("600Mi", "2Gi"), "true\n").await;
    let done = p.run("data", "in/x", "").await;
    assert_eq!((done.state, done.attempt), (State::Failed, 0));
    assert!(
        done.error
            .unwrap()
            .contains("largest GPU known has 1073741824")
    );
    p.stop().await;
}

#[tokio::test]
async fn a_gpu_function_without_gpu_servers_fails_with_the_reason() {
    let p = Platform::start().await;
    p.function(GPU, "true\n").await;
    let done = p.run("data", "in/x", "").await;
    assert!(done.error.unwrap().contains("knows no GPU server"));
    p.stop().await;
}
