//! `rgpu bench softgpu`: kernels on the software GPU against the same algorithms in C, one thread each.
//!
//! Both sides run in one process, which finds the software GPU as `libcuda.so.1`, and in turn. A second process has
//! the software GPU use two threads. [`serve`] is such a process; who measures asks it for one run after the other.

use std::ffi::{CString, c_void};
use std::fmt::Write as _;
use std::io::{BufRead, Write};
use std::path::Path;
use std::ptr;
use std::time::Instant;

use anyhow::{Context as _, bail, ensure};
use serde::{Deserialize, Serialize};

use crate::cuda::{Cuda, Function};
use crate::kernels::{Arg, Case, Kind};
use crate::reference::Reference;
use crate::stats::{Samples, show_seconds};

/// Asks for a run of the C function.
pub const C: &str = "c";
/// Asks for a run on the software GPU.
pub const GPU: &str = "gpu";

/// Largest difference of floats, of the largest value.
const TOLERANCE: f32 = 1e-5;

/// One run, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Taken {
    /// By the clock on the wall.
    pub wall: f64,
    /// Of processors, all threads of the process.
    pub cpu: f64,
}

/// Checks that both sides agree, says so with a line `ready`, and then answers each line with a [`Taken`] as JSON.
///
/// # Errors
/// A side fails, they disagree, or the one who asks is gone.
pub fn serve(
    case: &Case,
    library: &Path,
    questions: impl BufRead,
    mut answers: impl Write,
) -> anyhow::Result<()> {
    let reference = Reference::open(library, case.texts.name)?;
    let mut sides = Sides::new(case, &reference)?;
    sides.check()?;
    writeln!(answers, "ready")?;
    answers.flush()?;
    for question in questions.lines() {
        let (wall, cpu) = (Instant::now(), process_cpu_seconds());
        match question?.as_str() {
            C => sides.run_c(),
            GPU => sides.run_gpu()?,
            other => bail!("there is no side `{other}`"),
        }
        let taken = Taken {
            wall: wall.elapsed().as_secs_f64(),
            cpu: process_cpu_seconds() - cpu,
        };
        writeln!(answers, "{}", serde_json::to_string(&taken)?)?;
        answers.flush()?;
    }
    Ok(())
}

/// A kernel, ready to run on both sides.
struct Sides<'a> {
    case: &'a Case,
    reference: &'a Reference,
    cuda: Cuda,
    function: Function,
    /// Buffers of the C side.
    host: Vec<Vec<u8>>,
    /// Buffers of the software GPU.
    device: Vec<u64>,
}

impl<'a> Sides<'a> {
    fn new(case: &'a Case, reference: &'a Reference) -> anyhow::Result<Self> {
        let cuda = Cuda::open()?;
        let module = cuda.load(&CString::new(case.texts.ptx)?)?;
        let function = cuda.function(module, case.texts.name)?;
        let mut device = Vec::new();
        for bytes in &case.buffers {
            let address = cuda.allocate(bytes.len())?;
            cuda.copy_in(address, bytes)?;
            device.push(address);
        }
        Ok(Self {
            case,
            reference,
            cuda,
            function,
            host: case.buffers.clone(),
            device,
        })
    }

    fn run_c(&mut self) {
        let addresses: Vec<u64> = self
            .host
            .iter_mut()
            .map(|bytes| bytes.as_mut_ptr() as u64)
            .collect();
        for _ in 0..self.case.rounds {
            for launch in &self.case.launches {
                let mut values = values(&launch.args, &addresses);
                let mut params = pointers(&mut values);
                // SAFETY: the case's launches fit its buffers, as its kernel's do.
                unsafe { self.reference.run(launch.grid, &mut params) };
            }
        }
    }

    fn run_gpu(&self) -> anyhow::Result<()> {
        for _ in 0..self.case.rounds {
            for launch in &self.case.launches {
                let ([gx, gy], [bx, by]) = (launch.grid, launch.block);
                let mut values = values(&launch.args, &self.device);
                let mut params = pointers(&mut values);
                let (grid, block) = ([gx, gy, 1], [bx, by, 1]);
                // SAFETY: the case's arguments are what its kernel takes, a word each.
                unsafe { self.cuda.start(self.function, grid, block, &mut params) }?;
            }
        }
        self.cuda.synchronize()
    }

    /// One run of each side from the same data; the first of both, so that none that counts compiles.
    fn check(&mut self) -> anyhow::Result<()> {
        self.run_c();
        self.run_gpu()?;
        let expected = &self.host[self.case.result];
        let mut got = vec![0; expected.len()];
        self.cuda
            .copy_out(&mut got, self.device[self.case.result])?;
        ensure!(
            self.case.buffers[self.case.result] != *expected,
            "{} in C changed nothing",
            self.case.texts.name
        );
        compare(self.case.kind, expected, &got)
            .with_context(|| format!("{}: C and the software GPU disagree", self.case.texts.name))
    }
}

/// Values of parameters, each in its own word (little-endian).
fn values(args: &[Arg], addresses: &[u64]) -> Vec<u64> {
    let value = |arg: &Arg| match *arg {
        Arg::Buffer(index) => addresses[index],
        Arg::U32(value) => value.into(),
        Arg::F32(value) => value.to_bits().into(),
    };
    args.iter().map(value).collect()
}

fn pointers(values: &mut [u64]) -> Vec<*mut c_void> {
    values
        .iter_mut()
        .map(|value| ptr::from_mut(value).cast())
        .collect()
}

fn compare(kind: Kind, expected: &[u8], got: &[u8]) -> anyhow::Result<()> {
    let words = |bytes: &[u8]| -> Vec<u32> {
        let words = bytes.chunks_exact(4);
        words
            .map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]))
            .collect()
    };
    let (expected, got) = (words(expected), words(got));
    let largest = expected
        .iter()
        .map(|&bits| f32::from_bits(bits).abs())
        .fold(0.0, f32::max);
    for (at, (&want, &have)) in expected.iter().zip(&got).enumerate() {
        let (float_want, float_have) = (f32::from_bits(want), f32::from_bits(have));
        match kind {
            Kind::Words => ensure!(want == have, "element {at}: {want} in C, {have}"),
            Kind::Floats => ensure!(
                (float_want - float_have).abs() <= TOLERANCE * largest,
                "element {at}: {float_want} in C, {float_have}"
            ),
        }
    }
    Ok(())
}

fn process_cpu_seconds() -> f64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is live; the clock exists on Linux.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

/// What was measured of one kernel.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Measured {
    /// Its name.
    pub name: String,
    /// What a run does.
    pub what: String,
    /// The C function.
    pub c: Samples,
    /// The software GPU with one thread.
    pub one: Samples,
    /// The software GPU with two threads; empty on a machine with one core.
    pub two: Samples,
    /// The C function in two processes at once, until both have done it; empty on a machine with one core.
    pub c_twice: Samples,
    /// Processor time of the C function.
    pub c_cpu: Samples,
    /// Processor time of the software GPU with one thread.
    pub one_cpu: Samples,
}

impl Measured {
    /// The speed of the software GPU, the C function's being 1.
    pub fn ratio(&self) -> f64 {
        self.c.median() / self.one.median()
    }

    /// The same by processor time, which other work on the machine disturbs less.
    pub fn cpu_ratio(&self) -> f64 {
        self.c_cpu.median() / self.one_cpu.median()
    }

    /// The speed of two threads, that of one being 1.
    pub fn scaling(&self) -> Option<f64> {
        (!self.two.0.is_empty()).then(|| self.one.median() / self.two.median())
    }

    /// The speed of two processes of C together, that of one being 1: what the machine's two cores can do.
    pub fn machine_scaling(&self) -> Option<f64> {
        (!self.c_twice.0.is_empty()).then(|| 2.0 * self.c.median() / self.c_twice.median())
    }
}

/// The table, in Markdown.
pub fn table(kernels: &[Measured]) -> String {
    let mut text = String::from(
        "| kernel | a run | C, `gcc -O2`, median (least to greatest) | software GPU, one thread | ratio | ratio of \
         processor time | two threads | times one | two processes of C, times one |\n\
         |---|---|---|---|---|---|---|---|---|\n",
    );
    for kernel in kernels {
        let two = kernel.scaling().map_or_else(
            || "- | -".to_owned(),
            |scaling| format!("{} | {scaling:.2}", shown(&kernel.two)),
        );
        let machine = kernel
            .machine_scaling()
            .map_or_else(|| "-".to_owned(), |scaling| format!("{scaling:.2}"));
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | **{:.2}** | {:.2} | {two} | {machine} |",
            kernel.name,
            kernel.what,
            shown(&kernel.c),
            shown(&kernel.one),
            kernel.ratio(),
            kernel.cpu_ratio(),
        );
    }
    text
}

fn shown(samples: &Samples) -> String {
    let (least, greatest) = samples.spread();
    format!(
        "{} ({} to {})",
        show_seconds(samples.median()),
        show_seconds(least),
        show_seconds(greatest)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_speeds() {
        let mut measured = Measured {
            name: "saxpy".into(),
            c: Samples(vec![1.0, 1.0, 9.0]),
            one: Samples(vec![2.0]),
            c_cpu: Samples(vec![1.0]),
            one_cpu: Samples(vec![4.0]),
            ..Measured::default()
        };
        assert_eq!((measured.ratio(), measured.cpu_ratio()), (0.5, 0.25));
        assert_eq!(measured.scaling(), None);
        measured.two = Samples(vec![1.0]);
        measured.c_twice = Samples(vec![1.25]);
        assert_eq!(measured.scaling(), Some(2.0));
        assert_eq!(measured.machine_scaling(), Some(1.6));
        let expected = "| **0.50** | 0.25 | 1.00 s (1.00 s to 1.00 s) | 2.00 | 1.60 |";
        assert!(table(&[measured]).contains(expected));
    }

    #[test]
    fn wrong_results_are_seen() {
        let bytes = |values: &[f32]| -> Vec<u8> {
            values
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect()
        };
        let (want, near, far) = (
            bytes(&[1.0, 8.0]),
            bytes(&[1.00001, 8.0]),
            bytes(&[1.001, 8.0]),
        );
        assert!(compare(Kind::Floats, &want, &near).is_ok());
        assert!(compare(Kind::Floats, &want, &far).is_err());
        assert!(compare(Kind::Floats, &want, &bytes(&[f32::NAN, 8.0])).is_err());
        assert!(compare(Kind::Words, &want, &near).is_err());
        assert!(compare(Kind::Words, &want, &want).is_ok());
    }
}
