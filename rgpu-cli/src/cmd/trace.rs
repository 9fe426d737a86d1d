//! `rgpu trace`: runs a program as `rgpu run` does, and says what it waited for.

use std::ffi::OsString;
use std::fs::File;
use std::io::BufWriter;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus};

use anyhow::{Context as _, bail};
use rgpu_trace::read::{self, Recorded};
use rgpu_trace::symbols::Symbols;
use rgpu_trace::{perfetto, summary};

use super::run;

/// Run a program on a remote GPU, and say where its calls and waits go.
///
/// At the end a summary is written to stderr: each CUDA call with its class, bytes, round trips and the time waited, and
/// the places in the program that waited most. FILE, which ui.perfetto.dev opens, shows every call and wait of
/// every thread on a time line.
///
/// What to look for: many round trips of one call (each costs the network's delay: let the program ask less often, or
/// later), few but long waits (the GPU is busy), many bytes (the network's rate). posted calls do not wait, local ones are
/// answered here.
///
/// Ctrl-C ends the program, and what was recorded up to then is written. So it is with a program that is killed. Child
/// processes that use the GPU are recorded too.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Where the trace goes [default: PROGRAM.trace.json, here]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Report recordings that were made elsewhere (RGPU_TRACE=FILE), and run nothing
    #[arg(long, value_name = "RECORDING", num_args = 1.., conflicts_with_all = ["command", "server", "memory", "libs", "stats"])]
    read: Vec<PathBuf>,
    #[command(flatten)]
    run: run::Options,
    /// The program and its arguments
    #[arg(
        trailing_var_arg = true,
        required_unless_present = "read",
        value_name = "CMD"
    )]
    command: Vec<OsString>,
}

const EXAMPLES: &str = "\
Examples:
  rgpu trace --server tcp://gpu1:7461 -- ./saxpy
  rgpu trace --out step.json -- python train.py
  rgpu trace --server 'tcp://gpu1:7461?delay=10ms' -- ./saxpy   as if the server were farther away
  RGPU_TRACE=/tmp/%p.rec rgpu run -- ./saxpy; rgpu trace --read /tmp/*.rec";

pub(crate) fn main(args: &Args) -> anyhow::Result<ExitCode> {
    if !args.read.is_empty() {
        let recordings = args.read.iter().map(|path| {
            read::file(path).with_context(|| format!("cannot read {}", path.display()))
        });
        report(
            &recordings.collect::<anyhow::Result<Vec<_>>>()?,
            &args.out_file(Path::new("rgpu")),
        )?;
        return Ok(ExitCode::SUCCESS);
    }
    let folder = tempfile::Builder::new().prefix("rgpu-trace-").tempdir()?;
    let mut command = run::command(&args.run, &args.command)?;
    command.env("RGPU_TRACE", folder.path().join("%p"));
    let status = run_to_its_end(&mut command)?;
    let mut recordings = Vec::new();
    for entry in folder.path().read_dir()? {
        // A program that was killed in its first moment has left no head.
        recordings.extend(read::file(&entry?.path()).ok());
    }
    recordings.sort_by_key(|recorded| recorded.begun);
    if recordings.is_empty() {
        eprintln!(
            "rgpu: {} has not used the GPU",
            args.command[0].to_string_lossy()
        );
    } else {
        report(&recordings, &args.out_file(Path::new(&args.command[0])))?;
    }
    Ok(code(status))
}

impl Args {
    fn out_file(&self, program: &Path) -> PathBuf {
        self.out.clone().unwrap_or_else(|| {
            let name = program.file_name().unwrap_or_default().to_string_lossy();
            format!("{name}.trace.json").into()
        })
    }
}

/// Runs the program. Ctrl-C and requests to end are for it: the report follows its end.
fn run_to_its_end(command: &mut Command) -> anyhow::Result<ExitStatus> {
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .spawn()
        .with_context(|| format!("cannot run {name}"))?;
    // The child has left this process's handlers behind with its exec, so ignoring is not inherited from here on.
    // SAFETY: plain system calls that install no code.
    unsafe {
        libc::signal(libc::SIGINT, libc::SIG_IGN);
        libc::signal(libc::SIGQUIT, libc::SIG_IGN);
    }
    let terminated = pass_termination_on(child.id() as i32);
    let status = child.wait()?;
    drop(terminated);
    Ok(status)
}

/// Sends SIGTERM on to the child, as a terminal sends Ctrl-C to both.
fn pass_termination_on(child: i32) -> impl Sized {
    use std::sync::atomic::{AtomicI32, Ordering};
    static CHILD: AtomicI32 = AtomicI32::new(0);
    extern "C" fn pass_on(signal: i32) {
        let child = CHILD.load(Ordering::Relaxed);
        if child > 0 {
            // SAFETY: kill may be called in a handler.
            unsafe { libc::kill(child, signal) };
        }
    }
    struct Over;
    impl Drop for Over {
        fn drop(&mut self) {
            CHILD.store(0, Ordering::Relaxed);
        }
    }
    CHILD.store(child, Ordering::Relaxed);
    // SAFETY: the handler only loads a number and calls kill.
    unsafe { libc::signal(libc::SIGTERM, pass_on as *const () as libc::sighandler_t) };
    Over
}

fn report(recordings: &[Recorded], out: &Path) -> anyhow::Result<()> {
    let mut symbols = Symbols::default();
    for recorded in recordings {
        eprintln!("\n{}", summary::page(recorded, &mut symbols));
    }
    let file = File::create(out).with_context(|| format!("cannot write {}", out.display()))?;
    perfetto::write(recordings, &mut symbols, BufWriter::new(file))
        .with_context(|| format!("cannot write {}", out.display()))?;
    eprintln!(
        "The time line: open {} at https://ui.perfetto.dev",
        out.display()
    );
    if recordings.is_empty() {
        bail!("nothing was recorded");
    }
    Ok(())
}

/// As a shell says it.
fn code(status: ExitStatus) -> ExitCode {
    let number = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal));
    ExitCode::from(number.unwrap_or(1) as u8)
}
