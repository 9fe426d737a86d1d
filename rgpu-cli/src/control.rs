//! A client of a server's control plane, over tcp or a unix socket.

use std::io::IoSlice;
use std::time::Duration;

use anyhow::Context as _;
use hyper_util::rt::TokioIo;
use rgpu_proto::hello::{
    self, ClientHello, Device, HelloKind, Intent, Inventory, OLDEST_VERSION, PREAMBLE_LEN,
    Preamble, VERSION,
};
use rgpu_proto::wire;
use rgpu_server::control::control_client::ControlClient;
use rgpu_transport::Url;
use tonic::transport::{Channel, Endpoint};

/// Connects to the control plane at `url`.
///
/// # Errors
/// No server there.
pub(crate) async fn connect(url: &Url) -> anyhow::Result<ControlClient<Channel>> {
    let channel = match url {
        Url::Tcp { .. } | Url::Rdma { .. } => {
            let text = url.to_string();
            let (_, host_port) = text.split_once("://").unwrap_or(("", &text));
            let http = format!("http://{host_port}");
            Endpoint::from_shared(http)?.connect().await
        }
        Url::Unix(path) => {
            let path = path.clone();
            let connector = tower::service_fn(move |_| {
                let path = path.clone();
                async move {
                    tokio::net::UnixStream::connect(path)
                        .await
                        .map(TokioIo::new)
                }
            });
            // The name is not used: the connector knows the path.
            Endpoint::from_static("http://unix")
                .connect_with_connector(connector)
                .await
        }
    };
    let channel = channel.with_context(|| {
        format!("no GPU server answers at {url}; start one with `rgpu serve` or `rgpu up`")
    })?;
    Ok(ControlClient::new(channel))
}

/// How long a server may take to say what it has; the program that is to be run tells of a server that is away.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whether a device of the server at `url` runs PTX only, no machine code; `false` where none answers. Every program that is
/// run waits for this: one question of the data protocol, and no more machinery.
pub(crate) fn runs_ptx_only(url: &Url) -> bool {
    inventory(url).is_some_and(|inventory| inventory.devices.iter().any(Device::runs_ptx_only))
}

fn inventory(url: &Url) -> Option<Inventory> {
    let mut connection = rgpu_transport::connect(&url.clone().into(), PATIENCE).ok()?;
    let question = ClientHello {
        min_version: OLDEST_VERSION,
        max_version: VERSION,
        features: 0,
        intent: Intent::Inventory,
        memory: 0,
        pid: std::process::id(),
        host: String::new(),
        program: "rgpu".into(),
    };
    let question = hello::to_bytes(HelloKind::Client, &question);
    connection.send(&[IoSlice::new(&question)]).ok()?;
    if !connection.wait_ready(Some(PATIENCE)).ok()? {
        return None;
    }
    let mut preamble = [0; PREAMBLE_LEN];
    connection.receive(&mut preamble).ok()?;
    let preamble = Preamble::from_bytes(&preamble).ok()?;
    let mut body = vec![0; preamble.len];
    connection.receive(&mut body).ok()?;
    let told = preamble.kind == HelloKind::Inventory;
    wire::from_bytes(&body).ok().filter(|_| told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_is_away_runs_anything() {
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("tcp://{}", nobody.local_addr().unwrap());
        drop(nobody);
        assert!(!runs_ptx_only(&url.parse().unwrap()));
    }
}
