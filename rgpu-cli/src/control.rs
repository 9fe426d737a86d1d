//! A client of a server's control plane, over tcp or a unix socket.

use anyhow::Context as _;
use hyper_util::rt::TokioIo;
use rgpu_server::control::control_client::ControlClient;
use rgpu_transport::Url;
use tonic::transport::{Channel, Endpoint};

/// Connects to the control plane at `url`.
///
/// # Errors
/// No server there.
pub(crate) async fn connect(url: &Url) -> anyhow::Result<ControlClient<Channel>> {
    let channel = match url {
        Url::Tcp { .. } => {
            let http = url.to_string().replacen("tcp://", "http://", 1);
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
