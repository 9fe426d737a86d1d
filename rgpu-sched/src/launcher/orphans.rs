//! Processes that jobs have left behind, found by their environment: after the scheduler died, and when a process
//! has moved to a group of its own.

use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// A process that does not end within this time is stuck in the kernel.
const PATIENCE: Timespec = Timespec {
    tv_sec: 2,
    tv_nsec: 0,
};
/// A process can start another while it is being looked for; a job that keeps doing so is left.
const ROUNDS: usize = 5;

/// Kills every process whose environment has the entry `entry`, or one that goes on with a slash, and waits for
/// their end; returns how many there were.
pub(super) fn kill_marked(entry: &[u8]) -> usize {
    let mut total = 0;
    for _ in 0..ROUNDS {
        let killed = kill_once(entry);
        if killed == 0 {
            break;
        }
        total += killed;
    }
    total
}

fn kill_once(entry: &[u8]) -> usize {
    let Ok(processes) = std::fs::read_dir("/proc") else {
        return 0;
    };
    let own = std::process::id();
    let ids = processes
        .flatten()
        .filter_map(|p| p.file_name().to_str()?.parse::<u32>().ok());
    let marked: Vec<OwnedFd> = ids
        .filter(|id| *id != own && is_marked(*id, entry))
        .filter_map(|id| open_marked(id, entry))
        .collect();
    for process in &marked {
        pidfd_send_signal(process, Signal::KILL).ok();
    }
    for process in &marked {
        ended(process);
    }
    marked.len()
}

fn is_marked(id: u32, entry: &[u8]) -> bool {
    let environment = std::fs::read(format!("/proc/{id}/environ")).unwrap_or_default();
    let goes_on = |rest: &[u8]| matches!(rest.first(), None | Some(b'/'));
    environment
        .split(|b| *b == 0)
        .any(|e| e.strip_prefix(entry).is_some_and(goes_on))
}

/// A hold on the process. Checked again under it, since the number may have passed to another process.
fn open_marked(id: u32, entry: &[u8]) -> Option<OwnedFd> {
    let process = open(id)?;
    is_marked(id, entry).then_some(process)
}

fn open(id: u32) -> Option<OwnedFd> {
    let pid = Pid::from_raw(i32::try_from(id).ok()?)?;
    pidfd_open(pid, PidfdFlags::empty()).ok()
}

/// Waits for the end of a process; tells whether it came.
fn ended(process: &OwnedFd) -> bool {
    let mut wanted = [PollFd::new(process, PollFlags::IN)];
    matches!(poll(&mut wanted, Some(&PATIENCE)), Ok(n) if n > 0)
}

/// Waits for the end of any process; tells whether it came.
#[cfg(test)]
pub(super) fn wait_for_end(id: u32) -> bool {
    open(id).is_none_or(|process| ended(&process))
}
