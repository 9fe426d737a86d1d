//! What a CUDA program sees. Runs in a process that finds the library under test as `libcuda.so.1`.

use std::hint::black_box;
use std::io::{BufRead, Write};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::cuda::Cuda;
use crate::stats::Samples;

/// A time without calls after which both sides of a connection sleep.
pub const QUIET: Duration = Duration::from_millis(1);

/// How much of each thing.
#[derive(Debug, Clone, Copy)]
pub struct Amount {
    /// Repetitions of each measurement.
    pub runs: usize,
    /// Launches in a row.
    pub launches: usize,
    /// Waits in a row.
    pub waits: usize,
    /// Bytes of a copy.
    pub bytes: usize,
}

/// Seconds of one call, or of one copy.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Measured {
    /// CPU time of the calling thread for a launch.
    pub launch_cpu: Samples,
    /// A launch and its share of the wait at the end.
    pub launch_wall: Samples,
    /// Copying a launch's bytes into a ring instead.
    pub ring: Samples,
    /// A wait for an idle device.
    pub wait: Samples,
    /// The same after [`QUIET`].
    pub quiet_wait: Samples,
    /// A copy to the device, up to its end there.
    pub copy_in: Samples,
    /// A copy from the device.
    pub copy_out: Samples,
    /// Allocate, copy in, launch, copy out, free, with 4 KiB.
    pub cycle: Samples,
    /// `memcpy` of the same bytes in this process.
    pub memcpy: Samples,
}

/// Measures everything.
///
/// # Errors
/// No driver, or a call fails.
pub fn measure(amount: Amount) -> anyhow::Result<Measured> {
    let cuda = Cuda::open()?;
    let mut measured = Measured::default();
    // The first launch compiles, the first copies touch fresh pages: not what is measured here.
    cuda.launch(1)?;
    cuda.synchronize()?;
    let mut host = vec![1_u8; amount.bytes];
    let mut other = vec![2_u8; amount.bytes];
    let device = cuda.allocate(amount.bytes)?;
    cuda.copy_in(device, &host)?;
    cuda.copy_out(&mut other, device)?;
    anyhow::ensure!(host == other, "a copy there and back changed the bytes");
    for _ in 0..amount.runs {
        launches(&cuda, amount.launches, &mut measured)?;
        measured.ring.0.push(ring(amount.launches));
        measured
            .wait
            .0
            .push(per_call(amount.waits, || cuda.synchronize())?);
        measured
            .quiet_wait
            .0
            .push(quiet_wait(&cuda, amount.waits / 10)?);
        measured.cycle.0.push(per_call(amount.waits / 10, || {
            cycle(&cuda, &mut host[..4096])
        })?);
        measured.copy_in.0.push(per_call(1, || {
            cuda.copy_in(device, &other)?;
            cuda.synchronize()
        })?);
        measured
            .copy_out
            .0
            .push(per_call(1, || cuda.copy_out(&mut other, device))?);
        measured.memcpy.0.push(per_call(1, || {
            black_box(&mut other).copy_from_slice(black_box(&host));
            Ok(())
        })?);
    }
    Ok(measured)
}

/// Launches `count` times and waits, whenever a line asks for it; answers with a line.
///
/// # Errors
/// A call or the terminal fails.
pub fn launch_when_asked(
    count: usize,
    asks: impl BufRead,
    mut answers: impl Write,
) -> anyhow::Result<()> {
    let cuda = Cuda::open()?;
    cuda.launch(1)?;
    cuda.synchronize()?;
    writeln!(answers, "ready")?;
    for ask in asks.lines() {
        ask?;
        cuda.launch(count)?;
        cuda.synchronize()?;
        writeln!(answers, "done")?;
    }
    Ok(())
}

fn quiet_wait(cuda: &Cuda, count: usize) -> anyhow::Result<f64> {
    let mut sum = 0.0;
    for _ in 0..count {
        std::thread::sleep(QUIET);
        sum += per_call(1, || cuda.synchronize())?;
    }
    Ok(sum / count as f64)
}

fn launches(cuda: &Cuda, count: usize, measured: &mut Measured) -> anyhow::Result<()> {
    let (wall, cpu) = (Instant::now(), thread_cpu_seconds());
    cuda.launch(count)?;
    measured
        .launch_cpu
        .0
        .push((thread_cpu_seconds() - cpu) / count as f64);
    cuda.synchronize()?;
    measured
        .launch_wall
        .0
        .push(wall.elapsed().as_secs_f64() / count as f64);
    Ok(())
}

fn cycle(cuda: &Cuda, host: &mut [u8]) -> anyhow::Result<()> {
    let device = cuda.allocate(host.len())?;
    cuda.copy_in(device, host)?;
    cuda.launch(1)?;
    cuda.copy_out(host, device)?;
    cuda.free(device)
}

fn per_call(calls: usize, mut call: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    let calls = calls.max(1);
    let start = Instant::now();
    for _ in 0..calls {
        call()?;
    }
    Ok(start.elapsed().as_secs_f64() / calls as f64)
}

/// Bytes of a launch with eight parameters on the wire: header, body, 48 bytes of parameters.
const LAUNCH_BYTES: usize = 32 + 45 + 48;

/// Copies a launch's bytes into a ring, `count` times: the least that posting could cost.
fn ring(count: usize) -> f64 {
    let mut ring = vec![0_u8; 1 << 20];
    let bytes = [1_u8; LAUNCH_BYTES];
    let start = thread_cpu_seconds();
    let mut at = 0;
    for _ in 0..count {
        if at + LAUNCH_BYTES > ring.len() {
            at = 0;
        }
        black_box(&mut ring[at..at + LAUNCH_BYTES]).copy_from_slice(black_box(&bytes));
        at += LAUNCH_BYTES;
    }
    (thread_cpu_seconds() - start) / count as f64
}

fn thread_cpu_seconds() -> f64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is live; the clock exists on Linux.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}
