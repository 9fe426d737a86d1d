//! Compiles the kernels of all images, several at a time.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use rgpu_ptx::Module;
use rgpu_softgpu_exec::abi::DEVICE_WINDOW_BASE;
use rgpu_softgpu_jit::{Error, ModuleMemory, Program};

use crate::source::Image;

/// A kernel, or a whole module, that does not compile.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) place: String,
    /// Its name; none if the module does not load.
    pub(crate) kernel: Option<String>,
    pub(crate) cause: String,
    /// All that is known.
    pub(crate) message: String,
    /// Kernels that it costs.
    pub(crate) kernels: usize,
}

/// What was compiled, and what was not.
#[derive(Debug, Default)]
pub(crate) struct Run {
    /// PTX modules.
    pub(crate) modules: usize,
    /// Bytes of PTX.
    pub(crate) bytes: usize,
    /// How long each kernel took, with its name.
    pub(crate) compiled: Vec<(Duration, String)>,
    pub(crate) failures: Vec<Failure>,
    /// Bytes and time to index of the largest image.
    pub(crate) largest: (usize, Duration),
    pub(crate) wall: Duration,
}

impl Run {
    /// Kernels met.
    pub(crate) fn total(&self) -> usize {
        let failed = self.failures.iter().map(|failure| failure.kernels);
        self.compiled.len() + failed.sum::<usize>()
    }
}

/// Hands out addresses and stores nothing: nothing is launched.
struct Nowhere(AtomicU64);

impl ModuleMemory for Nowhere {
    fn alloc(&self, size: u64, align: u64, _is_const: bool) -> Result<u64, String> {
        let taken = size.checked_add(align).ok_or("too large")?;
        let address = self.0.fetch_add(taken, Ordering::Relaxed);
        Ok(address.next_multiple_of(align.max(1)))
    }

    fn write(&self, _address: u64, _bytes: &[u8]) -> Result<(), String> {
        Ok(())
    }
}

/// Compiles the kernels whose name contains `only`.
pub(crate) fn all(images: &[Image], jobs: usize, only: Option<&str>, bar: &ProgressBar) -> Run {
    let mut run = Run::default();
    let start = Instant::now();
    let mut programs = Vec::new();
    for image in images {
        run.modules += image.texts.len();
        run.bytes += image.texts.iter().map(String::len).sum::<usize>();
        match load(image, &mut run.largest) {
            Ok(program) => {
                let wanted = |name: &&str| only.is_none_or(|part| name.contains(part));
                let names = program.kernels().iter().map(|kernel| kernel.name.as_str());
                let names: Vec<String> = names.filter(wanted).map(str::to_owned).collect();
                bar.inc_length(names.len() as u64);
                programs.push((image, program, names));
            }
            Err(error) => run.failures.push(Failure {
                place: image.place.clone(),
                kernel: None,
                cause: cause(&error),
                message: error.to_string(),
                kernels: image
                    .texts
                    .iter()
                    .map(|text| text.matches(".entry").count())
                    .sum(),
            }),
        }
    }
    for (image, program, names) in programs {
        kernels(image, &program, &names, jobs, bar, &mut run);
    }
    run.wall = start.elapsed();
    run
}

fn load(image: &Image, largest: &mut (usize, Duration)) -> Result<Program, Error> {
    let start = Instant::now();
    let module = match image.texts.as_slice() {
        [text] => Module::parse(text.as_str())?,
        texts => rgpu_ptx::link(texts.iter().cloned())?,
    };
    if module.text.len() > largest.0 {
        *largest = (module.text.len(), start.elapsed());
    }
    Program::new(module, &Nowhere(AtomicU64::new(DEVICE_WINDOW_BASE)))
}

fn kernels(
    image: &Image,
    program: &Program,
    names: &[String],
    jobs: usize,
    bar: &ProgressBar,
    run: &mut Run,
) {
    let next = AtomicUsize::new(0);
    let run = Mutex::new(run);
    let work = || {
        while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
            let start = Instant::now();
            let result = program.compile(name);
            let time = start.elapsed();
            let mut run = run.lock().unwrap_or_else(PoisonError::into_inner);
            match result {
                Ok(_) => run.compiled.push((time, name.clone())),
                Err(error) => run.failures.push(Failure {
                    place: image.place.clone(),
                    kernel: Some(name.clone()),
                    cause: cause(&error),
                    message: error.to_string(),
                    kernels: 1,
                }),
            }
            if !run.failures.is_empty() {
                bar.set_message(format!("({} failed)", run.failures.len()));
            }
            bar.inc(1);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..jobs.min(names.len()) {
            scope.spawn(work);
        }
    });
}

/// What an error has in common with others: no names, no places.
fn cause(error: &Error) -> String {
    let opcode = |text: &str| {
        let words = text.split_whitespace();
        let mut words = words.skip_while(|word| word.starts_with('@'));
        words.next().unwrap_or("").trim_end_matches(';').to_owned()
    };
    match error {
        Error::Parse(error) => format!("{}: {}", error.message, opcode(&error.text)),
        Error::Refused {
            message,
            instruction,
            ..
        } => format!("{message}: {}", opcode(instruction)),
        Error::Codegen { message, .. } => format!("code generation: {message}"),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = ".version 8.0\n.target sm_80\n.address_size 64\n";

    fn run(texts: &[&str], only: Option<&str>) -> Run {
        let image = Image {
            place: "test".to_owned(),
            texts: texts.iter().map(|text| format!("{HEAD}{text}")).collect(),
        };
        all(&[image], 2, only, &ProgressBar::hidden())
    }

    #[test]
    fn good_and_bad_kernels_are_told_apart() {
        let text = ".visible .entry good() { ret; }\n\
             .visible .entry bad() { .reg .b64 %rd<3>; frobnicate.u32 %rd1, %rd2; ret; }\n\
             .extern .func missing();\n\
             .visible .entry unresolved() { call missing; ret; }\n";
        let all = run(&[text], None);
        assert_eq!((all.total(), all.compiled.len()), (3, 1));
        assert_eq!(all.compiled[0].1, "good");
        let mut failed: Vec<_> = all
            .failures
            .iter()
            .filter_map(|f| f.kernel.as_deref())
            .collect();
        failed.sort_unstable();
        assert_eq!(failed, ["bad", "unresolved"]);
        assert_eq!(run(&[text], Some("oo")).total(), 1);
    }

    #[test]
    fn parts_are_linked() {
        let all = run(
            &[
                ".extern .func f();\n.visible .entry k() { call f; ret; }\n",
                ".visible .func f() { ret; }\n",
            ],
            None,
        );
        assert_eq!(
            (all.modules, all.compiled.len(), all.failures.len()),
            (2, 1, 0)
        );
    }

    #[test]
    fn kernels_of_a_module_that_does_not_load_are_counted() {
        let all = run(&["this is no PTX\n.entry a() {}\n.entry b() {}"], None);
        assert_eq!((all.total(), all.failures.len()), (2, 1));
    }
}
