//! A harness for tests of the whole: a server of one's own, programs run through it, hang limits.
//!
//! The `rgpu` command and the libraries must be built first (`cargo build --workspace`, as `cargo xtask test`
//! does); they are looked for beside the tests' own programs.

pub mod loader;
#[path = "sequences/op.rs"]
pub mod op;

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// Nothing here takes long; what does hangs. Not a measure of speed.
pub const HANG: Duration = Duration::from_secs(60);

/// Where cargo put what it built; `probe` is `env!("CARGO_BIN_EXE_driver-probe")`.
///
/// # Panics
/// The rest has not been built.
pub fn built(probe: &str) -> PathBuf {
    let folder = Path::new(probe).parent().expect("a folder").to_path_buf();
    assert!(
        folder.join("rgpu").exists() && folder.join("librgpu_softgpu.so").exists(),
        "rgpu is not built in {}: run `cargo build --workspace` first, or `cargo xtask test`",
        folder.display()
    );
    folder
}

/// The folder with the client's `libcuda.so.1`, as `rgpu run` finds or makes it.
///
/// # Panics
/// `rgpu run` does not work.
pub fn client_libraries(built: &Path) -> PathBuf {
    let show = [
        "run",
        "--server",
        "tcp://127.0.0.1:1",
        "--",
        "sh",
        "-c",
        "echo $LD_LIBRARY_PATH",
    ];
    let out = Command::new(built.join("rgpu"))
        .args(show)
        .env_remove("LD_LIBRARY_PATH")
        .output();
    let out = out.expect("rgpu run");
    assert!(
        out.status.success(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
    PathBuf::from(String::from_utf8_lossy(&out.stdout).trim())
}

/// A GPU server with the software GPU, stopped when dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// Its address on TCP.
    pub tcp: String,
    /// Its address as a unix socket.
    pub unix: String,
    log: Arc<Mutex<String>>,
    logged: mpsc::Receiver<()>,
    rgpu: PathBuf,
    _folder: tempfile::TempDir,
}

impl Server {
    /// Starts a server with `memory` of GPU memory.
    ///
    /// # Panics
    /// It does not start.
    pub fn start(built: &Path, memory: &str) -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let unix = format!("unix:{}", folder.path().join("s").display());
        let rgpu = built.join("rgpu");
        let mut child = Command::new(&rgpu)
            .args([
                "serve", "--driver", "software", "--memory", memory, "--warm", "1",
            ])
            .args(["--listen", "tcp://127.0.0.1:0", "--listen", &unix])
            .arg("--modules")
            .arg(folder.path().join("modules"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("rgpu serve");
        let log = Arc::<Mutex<String>>::default();
        let (tell, logged) = mpsc::channel();
        let stderr = child.stderr.take().expect("stderr");
        let into = Arc::clone(&log);
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let mut log = into.lock().expect("log");
                log.push_str(&line);
                log.push('\n');
                drop(log);
                // Nobody may be listening any more.
                let _ = tell.send(());
            }
        });
        let stdout = BufReader::new(child.stdout.take().expect("stdout"));
        let tcp = stdout.lines().map_while(Result::ok).find_map(|line| {
            Some(line.strip_prefix("listening on ")?.to_owned())
                .filter(|url| url.starts_with("tcp"))
        });
        let tcp =
            tcp.unwrap_or_else(|| panic!("server did not start:\n{}", log.lock().expect("log")));
        Self {
            child,
            tcp,
            unix,
            log,
            logged,
            rgpu,
            _folder: folder,
        }
    }

    /// A command that runs `program` on this server's GPU.
    pub fn command(&self, program: &Path, args: &[&str]) -> Command {
        run_on(&self.rgpu, &self.tcp, program, args)
    }

    /// Kills the server as a crash would.
    pub fn kill(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks the server to stop, as Ctrl-C does, and waits for its end.
    pub fn interrupt(&mut self) {
        let pid = self.child.id() as i32;
        // SAFETY: a plain system call; the child has not been waited for, so the number is its own.
        unsafe { libc::kill(pid, libc::SIGINT) };
        // It may have ended.
        let _ = self.child.wait();
    }

    /// What `rgpu smi --json` says.
    ///
    /// # Panics
    /// The server does not answer.
    pub fn inventory(&self) -> serde_json::Value {
        let out = Command::new(&self.rgpu)
            .args(["smi", "--json", "--server", &self.tcp])
            .output()
            .expect("rgpu smi");
        assert!(
            out.status.success(),
            "rgpu smi: {}",
            String::from_utf8_lossy(&out.stderr)
        );
        serde_json::from_slice(&out.stdout).expect("JSON")
    }

    /// Waits until the log holds `part`.
    ///
    /// # Panics
    /// It does not come.
    pub fn wait_for_log(&self, part: &str) {
        let deadline = Instant::now() + HANG;
        while !self.log.lock().expect("log").contains(part) {
            let left = deadline.saturating_duration_since(Instant::now());
            let more = self.logged.recv_timeout(left);
            assert!(
                more.is_ok(),
                "no `{part}` in the log:\n{}",
                self.log.lock().expect("log")
            );
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A command that runs `program` through `rgpu run` on the server at `url`.
pub fn run_on(rgpu: &Path, url: &str, program: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(rgpu);
    command
        .args(["run", "--server", url, "--memory", "64Mi", "--"])
        .arg(program)
        .args(args);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// What a program did.
#[derive(Debug)]
pub struct Outcome {
    /// How it ended.
    pub status: ExitStatus,
    /// What it printed.
    pub stdout: String,
    /// What it complained about.
    pub stderr: String,
}

/// A program that runs, with its output as it comes.
#[derive(Debug)]
pub struct Running {
    /// The process.
    pub child: Child,
    lines: mpsc::Receiver<String>,
    stderr: thread::JoinHandle<String>,
}

impl Running {
    /// Starts `command`, whose output must be piped.
    ///
    /// # Panics
    /// It does not start.
    pub fn start(command: &mut Command) -> Self {
        let mut child = command.spawn().expect("program");
        let (send, lines) = mpsc::channel();
        let stdout = BufReader::new(child.stdout.take().expect("stdout"));
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                // The test may have all it wants.
                let _ = send.send(line);
            }
        });
        let mut stderr = child.stderr.take().expect("stderr");
        let stderr = thread::spawn(move || {
            let mut text = String::new();
            // A program that is killed ends its output somewhere.
            let _ = stderr.read_to_string(&mut text);
            text
        });
        Self {
            child,
            lines,
            stderr,
        }
    }

    /// Waits until the program prints the line `wanted`.
    ///
    /// # Panics
    /// It does not.
    pub fn wait_for(&self, wanted: &str) {
        loop {
            let line = self.lines.recv_timeout(HANG);
            let line = line.unwrap_or_else(|_| panic!("the program did not print `{wanted}`"));
            if line == wanted {
                return;
            }
        }
    }

    /// Waits for the program's end.
    ///
    /// # Panics
    /// It hangs.
    pub fn finish(mut self) -> Outcome {
        let mut stdout = String::new();
        let deadline = Instant::now() + HANG;
        // The output ends with the program.
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => stdout += &(line + "\n"),
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    let _ = self.child.kill();
                    panic!("the program hangs; it printed:\n{stdout}");
                }
            }
        }
        let status = self.child.wait().expect("wait");
        Outcome {
            status,
            stdout,
            stderr: self.stderr.join().expect("stderr"),
        }
    }
}

/// Runs `command` to its end.
pub fn run(command: &mut Command) -> Outcome {
    Running::start(command).finish()
}
