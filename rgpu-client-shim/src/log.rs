//! Lines on stderr: one where a user must know, more where `RGPU_LOG=debug` asks for them.

use std::fmt::Arguments;
use std::io::Write;
use std::sync::OnceLock;

/// Whether `RGPU_LOG` asks for details.
pub(crate) fn verbose() -> bool {
    static VERBOSE: OnceLock<bool> = OnceLock::new();
    *VERBOSE.get_or_init(|| {
        std::env::var("RGPU_LOG").is_ok_and(|level| matches!(level.as_str(), "debug" | "trace"))
    })
}

/// A line that the user must see.
pub(crate) fn notice(line: Arguments<'_>) {
    // One write, so that lines of several processes do not mix; a closed stderr is no reason to fail.
    let text = format!("rgpu: {line}\n");
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// A line for whoever debugs.
pub(crate) fn debug(line: Arguments<'_>) {
    if verbose() {
        notice(line);
    }
}
