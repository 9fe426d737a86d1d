//! Where a server listens.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Address of a server.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Url {
    /// `tcp://host:port`; host may be a name, an IPv4 address, or an IPv6 address in brackets.
    Tcp {
        /// Name or address, without brackets.
        host: String,
        /// Port; 0 lets the system choose (listeners only).
        port: u16,
    },
    /// `rdma://host:port`: a server at `tcp://host:port`, with which a client goes on over RDMA.
    Rdma {
        /// Name or address, without brackets.
        host: String,
        /// Port.
        port: u16,
    },
    /// `unix:/path`.
    Unix(PathBuf),
}

/// Text that is no address of a server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// A scheme that does not exist here.
    #[error("`{0}` is no server address: expected tcp://HOST:PORT, rdma://HOST:PORT or unix:/PATH")]
    Scheme(String),
    /// No usable host and port.
    #[error("`{0}` lacks a host and a port between 0 and 65535, as in tcp://gpu1:7461")]
    HostPort(String),
    /// Settings of an emulated network that do not exist.
    #[error(
        "`{0}` has settings of a network that are none: expected some of ?delay=1ms&rate=10gbit"
    )]
    Link(String),
    /// No usable path.
    #[error("`{0}` lacks an absolute path of at most 107 bytes, as in unix:/run/rgpu.sock")]
    Path(String),
}

/// Longest path in a `sockaddr_un` (108 bytes with its NUL; unix(7)).
const MAX_UNIX_PATH: usize = 107;

impl FromStr for Url {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        if let Some(rest) = text.strip_prefix("tcp://") {
            let (host, port) = host_port(rest).ok_or_else(|| UrlError::HostPort(text.into()))?;
            return Ok(Self::Tcp { host, port });
        }
        if let Some(rest) = text.strip_prefix("rdma://") {
            let (host, port) = host_port(rest).ok_or_else(|| UrlError::HostPort(text.into()))?;
            return Ok(Self::Rdma { host, port });
        }
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            let rooted = format!("/{}", path.trim_start_matches('/'));
            let usable =
                path.starts_with('/') && rooted.len() <= MAX_UNIX_PATH && !rooted.contains('\0');
            return if usable {
                Ok(Self::Unix(rooted.into()))
            } else {
                Err(UrlError::Path(text.into()))
            };
        }
        Err(UrlError::Scheme(text.into()))
    }
}

fn host_port(rest: &str) -> Option<(String, u16)> {
    let (host, port) = rest.trim_end_matches('/').rsplit_once(':')?;
    let port = port.parse().ok()?;
    let host = match host.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']')?,
        None if host.contains(':') => return None,
        None => host,
    };
    // Names and addresses need no other characters; `%` comes before an IPv6 zone.
    let usable = |c: char| c.is_alphanumeric() || "-._:%".contains(c);
    (!host.is_empty() && host.chars().all(usable)).then(|| (host.into(), port))
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, host, port) = match self {
            Self::Tcp { host, port } => ("tcp", host, port),
            Self::Rdma { host, port } => ("rdma", host, port),
            Self::Unix(path) => return write!(f, "unix:{}", path.display()),
        };
        if host.contains(':') {
            write!(f, "{scheme}://[{host}]:{port}")
        } else {
            write!(f, "{scheme}://{host}:{port}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_survive() {
        for text in [
            "tcp://gpu1:7461",
            "tcp://[::1]:7461",
            "tcp://127.0.0.1:0",
            "rdma://gpu1:7461",
            "rdma://[::1]:7461",
            "unix:/run/rgpu.sock",
        ] {
            let url: Url = text.parse().expect(text);
            assert_eq!(url.to_string(), text);
        }
        assert_eq!("unix:///run/x".parse(), Ok(Url::Unix("/run/x".into())));
        assert_eq!("unix:////run/x".parse(), Ok(Url::Unix("/run/x".into())));
    }

    #[test]
    fn what_is_no_address_says_why() {
        for (text, part) in [
            ("gpu1:7461", "expected tcp://"),
            ("tcp://gpu1", "lacks a host and a port"),
            ("tcp://:7461", "lacks a host"),
            ("tcp://::1:7461", "lacks a host"),
            ("tcp://gpu1:70000", "lacks a host and a port"),
            ("tcp://gpu1/x:1", "lacks a host and a port"),
            ("tcp://[[a]:1", "lacks a host and a port"),
            ("unix:relative", "lacks an absolute path"),
            ("rdma://gpu1", "lacks a host and a port"),
        ] {
            let error = text.parse::<Url>().expect_err(text).to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
