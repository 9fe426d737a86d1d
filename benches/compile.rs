//! `rgpu bench compile`: how long the software GPU takes to load a large module, and to have its kernels ready, in a
//! first process and in a second one that finds what the first has compiled.

use std::ffi::CString;
use std::fmt::Write as _;
use std::time::Instant;

use anyhow::ensure;
use serde::{Deserialize, Serialize};

use crate::cuda::Cuda;
use crate::kernels::TEXTS;
use crate::stats::{Samples, show_seconds};

/// Bytes of the module that is made if none is given: as many as the largest of TensorFlow 2.19 has.
pub const LARGE: usize = 10_400_000;

/// What one process measured, in seconds.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Measured {
    /// Loading the module.
    pub load: f64,
    /// Having each kernel ready.
    pub kernels: Samples,
}

/// A module of at least `bytes` bytes: the kernels that `rgpu bench softgpu` runs, again and again under other names.
pub fn module(bytes: usize) -> String {
    let (head, _) = split(TEXTS[0].ptx);
    let mut text = head.to_owned();
    for number in 0.. {
        for texts in TEXTS {
            let (_, body) = split(texts.ptx);
            text.push_str(&body.replace(texts.name, &format!("{}_{number}", texts.name)));
        }
        if text.len() >= bytes {
            break;
        }
    }
    text
}

/// A module's directives, and what follows.
fn split(ptx: &str) -> (&str, &str) {
    const LAST: &str = ".address_size 64";
    let end = ptx.find(LAST).map_or(0, |at| at + LAST.len());
    ptx.split_at(end)
}

/// Names of the kernels of a module, `most` of them at even distances.
fn names(text: &str, most: usize) -> Vec<&str> {
    let entries = text.split(".entry ").skip(1);
    let all: Vec<&str> = entries
        .filter_map(|tail| tail.split(['(', ' ', '\n', '\t']).next())
        .collect();
    let step = all.len().div_ceil(most.max(1)).max(1);
    all.into_iter().step_by(step).collect()
}

/// Loads a module and has `most` of its kernels ready.
///
/// # Errors
/// The module is refused, or a kernel does not compile.
pub fn measure(text: &str, most: usize) -> anyhow::Result<Measured> {
    let cuda = Cuda::open()?;
    let names = names(text, most);
    ensure!(!names.is_empty(), "the module has no kernel");
    let ptx = CString::new(text)?;
    let start = Instant::now();
    let module = cuda.load(&ptx)?;
    let load = start.elapsed().as_secs_f64();
    let mut kernels = Samples::default();
    for name in names {
        let start = Instant::now();
        cuda.compile(cuda.function(module, name)?)?;
        kernels.0.push(start.elapsed().as_secs_f64());
    }
    Ok(Measured { load, kernels })
}

/// The table, in Markdown.
pub fn table(bytes: usize, first: &[Measured], second: &[Measured]) -> String {
    let all = |of: fn(&Measured) -> Vec<f64>, processes: &[Measured]| {
        let samples = Samples(processes.iter().flat_map(of).collect());
        let (least, greatest) = samples.spread();
        let [median, least, greatest] = [samples.median(), least, greatest].map(show_seconds);
        format!("{median} ({least} to {greatest})")
    };
    let load = |measured: &Measured| vec![measured.load];
    let kernel = |measured: &Measured| measured.kernels.0.clone();
    let sum = |measured: &Measured| vec![measured.kernels.0.iter().sum()];
    let count = first.first().map_or(0, |measured| measured.kernels.0.len());
    let mut text = String::from(
        "| measurement | first process, median (least to greatest) | second process |\n|---|---|---|\n",
    );
    for (what, of) in [
        (
            format!("load a module of {:.1} MB", bytes as f64 * 1e-6),
            load as fn(&Measured) -> _,
        ),
        ("have a kernel ready".to_owned(), kernel),
        (format!("have {count} kernels ready"), sum),
    ] {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "| {what} | {} | {} |",
            all(of, first),
            all(of, second)
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_made_module_has_many_kernels_of_different_names() {
        let text = module(100_000);
        assert!(text.len() >= 100_000);
        assert_eq!(text.matches(".address_size").count(), 1);
        let mut all = names(&text, usize::MAX);
        assert!(all.contains(&"saxpy_0") && all.contains(&"scan_1"));
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
        assert!((10..=20).contains(&names(&text, 20).len()));
    }
}
