//! Settings, from the environment only: the application owns everything else.
//!
//! | variable | meaning |
//! |---|---|
//! | `RGPU_SERVER` | where the server is: `tcp://HOST:PORT`, `rdma://HOST:PORT` or `unix:/PATH` |
//! | `RGPU_MEMORY` | device memory to lease, such as `256Mi`; the server's default where unset |
//! | `RGPU_SHM` | `0`: no shared memory with a server at a unix socket |
//! | `RGPU_SYNC` | `1`: every call waits for its result |
//! | `RGPU_STATS` | file for a JSON account of the calls, written at exit; `%p` becomes the process id |
//! | `RGPU_TRACE` | file for a recording of all calls and waits; `%p` becomes the process id |
//! | `RGPU_LOG` | `debug`: details on stderr |

use std::path::PathBuf;
use std::sync::OnceLock;

/// The settings of this process.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// `RGPU_SERVER`.
    pub(crate) server: Option<String>,
    /// `RGPU_MEMORY` as written.
    pub(crate) memory: Option<String>,
    /// `RGPU_SHM`: whether to share memory with a server on this host.
    pub(crate) share: bool,
    /// `RGPU_SYNC`.
    pub(crate) sync: bool,
    /// `RGPU_STATS`.
    pub(crate) stats: Option<PathBuf>,
    /// `RGPU_TRACE`.
    pub(crate) trace: Option<PathBuf>,
}

/// Reads the environment once, at the first CUDA call.
pub(crate) fn get() -> &'static Config {
    static CONFIG: OnceLock<Config> = OnceLock::new();
    CONFIG.get_or_init(|| {
        let text = |name| {
            std::env::var(name)
                .ok()
                .filter(|value: &String| !value.is_empty())
        };
        let file = |path: String| path.replace("%p", &std::process::id().to_string()).into();
        Config {
            server: text("RGPU_SERVER"),
            memory: text("RGPU_MEMORY"),
            share: text("RGPU_SHM").is_none_or(|value| value != "0"),
            sync: text("RGPU_SYNC").is_some_and(|value| value != "0"),
            stats: text("RGPU_STATS").map(file),
            trace: text("RGPU_TRACE").map(file),
        }
    })
}

/// Bytes of a size such as `1073741824`, `256Mi`, `2G`; `None` where it is no size.
///
/// ```
/// assert_eq!(rgpu_client::parse_size("256Mi"), Some(256 << 20));
/// assert_eq!(rgpu_client::parse_size("2G"), Some(2_000_000_000));
/// assert_eq!(rgpu_client::parse_size("much"), None);
/// ```
pub fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let unit: u64 = match unit.trim().trim_end_matches(['B', 'b']) {
        "" => 1,
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        "Ti" => 1 << 40,
        "k" | "K" => 1_000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        "T" => 1_000_000_000_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read() {
        assert_eq!(parse_size("0"), Some(0));
        assert_eq!(parse_size(" 64KiB "), Some(64 << 10));
        assert_eq!(parse_size("1Gi"), Some(1 << 30));
        for bad in ["", "Mi", "-1", "1.5G", "12Q", "99999999999Ti"] {
            assert_eq!(parse_size(bad), None, "{bad}");
        }
    }
}
