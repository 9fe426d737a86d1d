//! The log of one job: the script's output, and between it the launcher's own lines, as the function's
//! `log_level` asks.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use crate::function::LogLevel;
use crate::time::Timestamp;

/// Writes the launcher's lines.
#[derive(Debug)]
pub(super) struct JobLog {
    file: File,
    level: LogLevel,
}

impl JobLog {
    /// Opens the log at its end; a second attempt goes on in the log of the first.
    pub(super) fn open(path: &Path, level: LogLevel) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        Ok(Self {
            file: OpenOptions::new().append(true).create(true).open(path)?,
            level,
        })
    }

    pub(super) fn info(&mut self, text: &str) {
        self.line(LogLevel::Info, text);
    }

    pub(super) fn warning(&mut self, text: &str) {
        self.line(LogLevel::Warning, text);
    }

    pub(super) fn error(&mut self, text: &str) {
        self.line(LogLevel::Error, text);
    }

    fn line(&mut self, level: LogLevel, text: &str) {
        if level < self.level {
            return;
        }
        // One write, so that lines of the script and of the launcher do not mix.
        let line = format!("[rgpu {} {}] {text}\n", Timestamp::now(), level.as_str());
        if let Err(error) = self.file.write_all(line.as_bytes()) {
            tracing::warn!(%error, "cannot write to a job's log");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_decides() {
        let dir = tempfile::tempdir().unwrap();
        let text = |level| {
            let path = dir.path().join(format!("logs/{level:?}"));
            let mut log = JobLog::open(&path, level).unwrap();
            log.info("step");
            log.warning("odd");
            log.error("bad");
            std::fs::read_to_string(path).unwrap()
        };
        let has = |text: &str| ["step", "odd", "bad"].map(|w| text.contains(w));
        assert_eq!(has(&text(LogLevel::Debug)), [true, true, true]);
        assert_eq!(has(&text(LogLevel::Info)), [true, true, true]);
        assert_eq!(has(&text(LogLevel::Warning)), [false, true, true]);
        assert_eq!(has(&text(LogLevel::Error)), [false, false, true]);
        assert_eq!(text(LogLevel::Critical), "");
    }
}
