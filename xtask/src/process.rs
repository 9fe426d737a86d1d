//! Child processes which never outlive us: each leads a process group that ends with its owner, when xtask ends
//! by a signal, and, through `PR_SET_PDEATHSIG`, when xtask is itself killed.

use std::io::{BufRead, BufReader, Read};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Groups alive now; 0 marks a free place. A signal handler reads it, so it is a plain array of atomics.
static GROUPS: [AtomicI32; 128] = [const { AtomicI32::new(0) }; 128];

/// How long children may take to end when they are asked to: a platform stops its jobs, which have groups of their own.
const GRACE: Duration = Duration::from_secs(8);

/// Ends every child's group when xtask is told to end.
pub(crate) fn end_children_on_signals() {
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        let handler = end_children as extern "C" fn(libc::c_int);
        // SAFETY: the handler only makes async-signal-safe calls and reads atomics.
        unsafe { libc::signal(signal, handler as libc::sighandler_t) };
    }
}

extern "C" fn end_children(signal: libc::c_int) {
    end_groups(&GROUPS, GRACE);
    // SAFETY: _exit is async-signal-safe.
    unsafe { libc::_exit(128 + signal) }
}

/// Asks groups to end, and kills them once their leaders have or the time is over. A signal handler calls it: it allocates
/// nothing.
fn end_groups(groups: &[AtomicI32], grace: Duration) {
    let leaders = || groups.iter().map(|group| group.load(Ordering::Relaxed));
    leaders().for_each(|leader| kill_group(leader, libc::SIGTERM));
    let end = Instant::now() + grace;
    for leader in leaders().filter(|&leader| leader > 0) {
        // SAFETY: plain system call; a process that is gone gives an error.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, leader, 0) } as i32;
        if fd >= 0 {
            poll_until(fd, end).ok();
            // SAFETY: a descriptor of our own, used no more.
            unsafe { libc::close(fd) };
        }
    }
    leaders().for_each(|leader| kill_group(leader, libc::SIGKILL));
}

/// Waits until a descriptor can be read, and says whether it can; otherwise the time is over.
fn poll_until(fd: i32, end: Instant) -> std::io::Result<bool> {
    loop {
        let left = end
            .saturating_duration_since(Instant::now())
            .as_millis()
            .min(i32::MAX as u128) as i32;
        let mut poll = libc::pollfd {
            fd,
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: one valid pollfd.
        let ready = unsafe { libc::poll(&raw mut poll, 1, left) };
        if ready >= 0 {
            return Ok(ready > 0);
        }
        let error = std::io::Error::last_os_error();
        if error.kind() != std::io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

fn kill_group(leader: i32, signal: libc::c_int) {
    if leader > 0 {
        // SAFETY: plain system call; a group that is gone gives an error, which is what we want to happen.
        unsafe { libc::kill(-leader, signal) };
    }
}

/// A child that leads its own group. The group is killed on drop.
#[derive(Debug)]
struct Group {
    child: Child,
    place: Option<usize>,
}

impl Group {
    fn spawn(command: &mut Command) -> Result<Self> {
        command.process_group(0);
        let die_with_parent = || {
            // SAFETY: plain system call on the calling process.
            unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
            Ok(())
        };
        // SAFETY: between fork and exec the closure makes one system call and allocates nothing.
        unsafe { command.pre_exec(die_with_parent) };
        let name = command.get_program().to_string_lossy().into_owned();
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        let id = child.id() as i32;
        let place = GROUPS.iter().position(|g| {
            g.compare_exchange(0, id, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
        });
        Ok(Self { child, place })
    }

    fn id(&self) -> i32 {
        self.child.id() as i32
    }

    /// Waits until the child ends, or the time is over.
    fn wait(&mut self, limit: Duration) -> Result<Option<ExitStatus>> {
        // SAFETY: plain system call; the child has not been waited for, so its id is still its own.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, self.id(), 0) } as i32;
        if fd < 0 {
            return Err(std::io::Error::last_os_error()).context("pidfd_open");
        }
        // SAFETY: a fresh descriptor that nobody else owns.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        if poll_until(fd.as_raw_fd(), Instant::now() + limit).context("poll")? {
            return Ok(Some(self.child.wait()?));
        }
        Ok(None)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        kill_group(self.id(), libc::SIGKILL);
        if let Some(place) = self.place {
            GROUPS[place].store(0, Ordering::Relaxed);
        }
        // The child is dead or dying: this only takes its status from the kernel.
        self.child.wait().ok();
    }
}

/// What a finished command left.
#[derive(Debug)]
pub(crate) struct Output {
    /// How it ended; `None` if its time was over.
    pub status: Option<ExitStatus>,
    /// What it wrote.
    pub stdout: String,
    /// What it complained.
    pub stderr: String,
}

impl Output {
    /// Whether it exited with 0.
    pub(crate) fn good(&self) -> bool {
        self.status.is_some_and(|s| s.success())
    }
}

/// Exit status or signal, in words.
pub(crate) fn status_text(status: Option<ExitStatus>) -> String {
    let Some(status) = status else {
        return "did not end in time".to_owned();
    };
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("ended by signal {signal}"),
        (None, None) => "ended in an unknown way".to_owned(),
    }
}

/// Runs a command to its end, or kills it when its time is over, and collects what it wrote.
pub(crate) fn capture(command: &mut Command, limit: Duration) -> Result<Output> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut group = Group::spawn(command)?;
    let stdout = read_in_thread(group.child.stdout.take());
    let stderr = read_in_thread(group.child.stderr.take());
    let status = group.wait(limit)?;
    // What the child left behind would hold the pipes open.
    drop(group);
    let text = |thread: std::thread::JoinHandle<Vec<u8>>| {
        String::from_utf8_lossy(&thread.join().unwrap_or_default()).into_owned()
    };
    Ok(Output {
        status,
        stdout: text(stdout),
        stderr: text(stderr),
    })
}

fn read_in_thread(pipe: Option<impl Read + Send + 'static>) -> std::thread::JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // A broken pipe leaves what came before it.
            pipe.read_to_end(&mut bytes).ok();
        }
        bytes
    })
}

fn lines_in_thread(pipe: Option<impl Read + Send + 'static>) -> Receiver<String> {
    let (send, lines) = channel();
    std::thread::spawn(move || {
        let lines = pipe.into_iter().flat_map(|p| BufReader::new(p).lines());
        for line in lines.map_while(Result::ok) {
            // The receiver may be gone; reading on keeps the writer from blocking.
            send.send(line).ok();
        }
    });
    lines
}

/// Runs a command quietly; if it fails, shows what it wrote.
pub(crate) fn quiet(command: &mut Command, limit: Duration) -> Result<String> {
    let output = capture(command, limit)?;
    if output.good() {
        return Ok(output.stdout);
    }
    let shown = format!("{}{}", output.stdout, output.stderr);
    bail!(
        "`{}`: {}\n{}",
        line(command),
        status_text(output.status),
        last_lines(&shown, 60)
    )
}

/// Runs a command whose lines of stdout tell how far it is; if it fails, shows the last it wrote.
pub(crate) fn followed(
    command: &mut Command,
    limit: Duration,
    mut told: impl FnMut(&str),
) -> Result<()> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut group = Group::spawn(command)?;
    let lines = lines_in_thread(group.child.stdout.take());
    let stderr = read_in_thread(group.child.stderr.take());
    let end = Instant::now() + limit;
    let mut shown = String::new();
    while let Ok(line) = lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
        told(&line);
        shown.push_str(&line);
        shown.push('\n');
    }
    let status = group.wait(end.saturating_duration_since(Instant::now()))?;
    drop(group);
    if status.is_some_and(|s| s.success()) {
        return Ok(());
    }
    shown.push_str(&String::from_utf8_lossy(&stderr.join().unwrap_or_default()));
    bail!("{}\n{}", status_text(status), last_lines(&shown, 60))
}

/// Runs a command whose output people want to see as it comes.
pub(crate) fn shown(command: &mut Command) -> Result<bool> {
    let mut group = Group::spawn(command.stdin(Stdio::null()))?;
    Ok(group.child.wait()?.success())
}

/// The last lines of a text.
pub(crate) fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

/// A command as one would type it.
pub(crate) fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|w| w.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

/// A server that runs beside us, whose stdout is read line by line. It is asked to end on drop, then killed.
#[derive(Debug)]
pub(crate) struct Server {
    name: String,
    group: Group,
    lines: Receiver<String>,
    log: std::path::PathBuf,
}

impl Server {
    /// Starts it; stderr goes to the file `log`. Call from the main thread: the child dies with the calling thread.
    pub(crate) fn start(name: &str, command: &mut Command, log: &std::path::Path) -> Result<Self> {
        let file = std::fs::File::create(log)
            .with_context(|| format!("cannot write {}", log.display()))?;
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(file);
        let mut group = Group::spawn(command)?;
        let lines = lines_in_thread(group.child.stdout.take());
        Ok(Self {
            name: name.to_owned(),
            group,
            lines,
            log: log.to_owned(),
        })
    }

    /// Lines of stdout until `enough` says so.
    pub(crate) fn read_until(
        &mut self,
        limit: Duration,
        mut enough: impl FnMut(&str) -> bool,
    ) -> Result<Vec<String>> {
        let end = Instant::now() + limit;
        let mut seen = Vec::new();
        loop {
            match self
                .lines
                .recv_timeout(end.saturating_duration_since(Instant::now()))
            {
                Ok(line) => {
                    let done = enough(&line);
                    seen.push(line);
                    if done {
                        return Ok(seen);
                    }
                }
                Err(_) => return Err(self.not_ready(&seen)),
            }
        }
    }

    fn not_ready(&mut self, seen: &[String]) -> anyhow::Error {
        let ended = self.group.wait(Duration::ZERO).ok().flatten();
        let state = if ended.is_some() {
            status_text(ended)
        } else {
            "still running".to_owned()
        };
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        anyhow::anyhow!(
            "{} did not say that it is ready ({state}); it wrote:\n{}\n{}",
            self.name,
            seen.join("\n"),
            last_lines(&log, 40)
        )
    }

    /// Whether it has not ended by itself.
    pub(crate) fn running(&mut self) -> bool {
        matches!(self.group.wait(Duration::ZERO), Ok(None))
    }

    /// The end of what it wrote to stderr.
    pub(crate) fn log_tail(&self, lines: usize) -> String {
        last_lines(
            &std::fs::read_to_string(&self.log).unwrap_or_default(),
            lines,
        )
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        kill_group(self.group.id(), libc::SIGTERM);
        // One that does not end when asked is killed by the group's own drop.
        self.group.wait(Duration::from_secs(5)).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn output_and_status_are_collected() {
        let output = capture(
            &mut shell("echo out; echo err >&2; exit 3"),
            Duration::from_secs(20),
        )
        .unwrap();
        assert_eq!(
            (output.stdout.as_str(), output.stderr.as_str()),
            ("out\n", "err\n")
        );
        assert_eq!(status_text(output.status), "exit status 3");
        assert!(!output.good());
    }

    #[test]
    fn a_command_that_takes_too_long_is_killed_with_its_children() {
        let start = Instant::now();
        let mut command = shell("sleep 600 & echo started; sleep 600");
        let output = capture(&mut command, Duration::from_millis(300)).unwrap();
        assert!(output.status.is_none());
        assert_eq!(output.stdout, "started\n");
        // Both sleepers hold the pipe: it would not have ended before they did.
        assert!(start.elapsed() < Duration::from_secs(300));
    }

    #[test]
    fn groups_are_asked_before_they_are_killed() {
        let start = |script| {
            let mut command = shell(script);
            command.stdout(Stdio::piped());
            let mut group = Group::spawn(&mut command).unwrap();
            let lines = lines_in_thread(group.child.stdout.take());
            // Its traps are set.
            assert_eq!(lines.recv().unwrap(), "ready");
            (group, lines)
        };
        let (mut tidy, said) =
            start("trap 'echo tidied; exit 7' TERM; echo ready; sleep 600 & wait");
        let (mut deaf, _) = start("trap '' TERM; echo ready; sleep 600");
        let groups = [&tidy, &deaf].map(|group| AtomicI32::new(group.id()));
        end_groups(&groups, Duration::from_millis(500));
        let ended = |group: &mut Group| status_text(group.wait(Duration::from_secs(20)).unwrap());
        assert_eq!(ended(&mut tidy), "exit status 7");
        assert_eq!(said.recv().unwrap(), "tidied");
        assert_eq!(ended(&mut deaf), "ended by signal 9");
    }

    #[test]
    fn failures_show_what_was_written() {
        let error = quiet(
            &mut shell("echo the reason >&2; exit 1"),
            Duration::from_secs(20),
        )
        .unwrap_err();
        assert!(error.to_string().contains("the reason"), "{error}");
    }

    #[test]
    fn lines_are_told_as_they_come() {
        let limit = Duration::from_secs(20);
        let mut lines = Vec::new();
        followed(&mut shell("echo one; echo two"), limit, |line| {
            lines.push(line.to_owned());
        })
        .unwrap();
        assert_eq!(lines, ["one", "two"]);
        let mut failing = shell("echo far; echo the reason >&2; exit 1");
        let error = followed(&mut failing, limit, |_| {})
            .unwrap_err()
            .to_string();
        assert!(error.contains("far\nthe reason"), "{error}");
        let error = followed(&mut shell("sleep 600"), Duration::from_millis(100), |_| {});
        assert!(error.unwrap_err().to_string().contains("in time"));
    }

    #[test]
    fn a_server_says_when_it_is_ready() {
        let log = std::env::temp_dir().join(format!("xtask-server-{}", std::process::id()));
        let mut command = shell("echo starting; echo ready; exec sleep 600");
        let mut server = Server::start("it", &mut command, &log).unwrap();
        let lines = server
            .read_until(Duration::from_secs(20), |l| l == "ready")
            .unwrap();
        assert_eq!(lines, ["starting", "ready"]);
        assert!(server.running());
        let mut dead = Server::start("it", &mut shell("echo no >&2; exit 4"), &log).unwrap();
        let error = dead
            .read_until(Duration::from_secs(20), |_| true)
            .unwrap_err()
            .to_string();
        assert!(error.contains("no"), "{error}");
        std::fs::remove_file(log).ok();
    }
}
