//! A client of a server's control plane, over tcp or a unix socket.

use std::time::Duration;

use anyhow::Context as _;
use hyper_util::rt::TokioIo;
use rgpu_server::control::InventoryRequest;
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

/// Whether a device of the server at `url` runs PTX only, no machine code; `false` where none answers.
pub(crate) fn runs_ptx_only(url: &Url) -> bool {
    let asked = async {
        let mut control = connect(url).await.ok()?;
        let inventory = control.inventory(InventoryRequest {}).await.ok()?;
        let mut devices = inventory.into_inner().devices.into_iter();
        Some(devices.any(|device| device.ptx_only))
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.is_ok_and(|runtime| {
        let answer = runtime.block_on(async { tokio::time::timeout(PATIENCE, asked).await });
        answer.ok().flatten().unwrap_or(false)
    })
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
