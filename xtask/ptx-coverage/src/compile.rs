//! Compiles the kernels of all images, several at a time.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use nix::time::{ClockId, clock_gettime};
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

/// What one load of a module gave.
#[derive(Debug, Default)]
pub(crate) struct Part {
    /// As [`Image::place`].
    pub(crate) place: String,
    /// PTX modules that are linked together; one, mostly.
    pub(crate) modules: usize,
    /// Bytes of PTX.
    pub(crate) bytes: usize,
    /// Kernels met.
    pub(crate) total: usize,
    pub(crate) compiled: usize,
}

/// What was compiled, and what was not.
#[derive(Debug, Default)]
pub(crate) struct Run {
    pub(crate) parts: Vec<Part>,
    /// Processor time of each kernel that was compiled here, with its name; one met again takes none.
    pub(crate) compiled: Vec<(Duration, String)>,
    /// The kernels of `compiled`, each with the first part that has its module.
    pub(crate) met: HashSet<(usize, String)>,
    pub(crate) failures: Vec<Failure>,
    /// Bytes of the largest module, and the time to index it.
    pub(crate) largest: (usize, Duration),
    pub(crate) wall: Duration,
}

impl Run {
    /// Kernels met.
    pub(crate) fn total(&self) -> usize {
        self.parts.iter().map(|part| part.total).sum()
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

/// Which kernels are compiled.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// Their name contains this.
    pub(crate) part: &'a str,
    /// One in so many of those.
    pub(crate) every: usize,
}

/// Compiles the kernels that are wanted.
pub(crate) fn all(images: &[Image], jobs: usize, wanted: Wanted<'_>, bar: &ProgressBar) -> Run {
    let mut run = Run::default();
    let start = Instant::now();
    let mut programs: Vec<Loaded> = Vec::new();
    let mut met = 0;
    for image in images {
        let mut part = Part {
            place: image.place.clone(),
            modules: image.texts.len(),
            bytes: image.texts.iter().map(String::len).sum(),
            ..Part::default()
        };
        // Two libraries may hold the same module: it is compiled once.
        let known = programs
            .iter()
            .find(|known| images[known.first].texts == image.texts);
        let first = known.map_or(run.parts.len(), |known| known.first);
        let program = match known {
            Some(known) => Ok(Arc::clone(&known.program)),
            None => load(image, &mut run.largest).map(Arc::new),
        };
        match program {
            Ok(program) => {
                let names = program.kernels().iter().map(|kernel| kernel.name.as_str());
                let names = names.filter(|name| name.contains(wanted.part)).filter(|_| {
                    met += 1;
                    (met - 1) % wanted.every == 0
                });
                let names: Vec<String> = names.map(str::to_owned).collect();
                bar.inc_length(names.len() as u64);
                part.total = names.len();
                programs.push(Loaded {
                    at: run.parts.len(),
                    first,
                    program,
                    names,
                });
            }
            Err(error) => {
                let entries = image
                    .texts
                    .iter()
                    .map(|text| text.matches(".entry").count());
                part.total = entries.sum();
                run.failures.push(Failure {
                    place: image.place.clone(),
                    kernel: None,
                    cause: cause(&error),
                    message: error.to_string(),
                    kernels: part.total,
                });
            }
        }
        run.parts.push(part);
    }
    for loaded in programs {
        kernels(&loaded, jobs, bar, &mut run);
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
    // Linking several is more than indexing one.
    if image.texts.len() == 1 && module.text.len() > largest.0 {
        *largest = (module.text.len(), start.elapsed());
    }
    Program::new(module, &Nowhere(AtomicU64::new(DEVICE_WINDOW_BASE)))
}

/// A module whose kernels are to be compiled.
struct Loaded {
    /// Its part of the run, and the first part with the same text.
    at: usize,
    first: usize,
    program: Arc<Program>,
    names: Vec<String>,
}

fn kernels(loaded: &Loaded, jobs: usize, bar: &ProgressBar, run: &mut Run) {
    let (at, names) = (loaded.at, &loaded.names);
    let next = AtomicUsize::new(0);
    let run = Mutex::new(run);
    let work = || {
        while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
            let start = processor_time();
            let result = loaded.program.compile(name);
            let time = processor_time().saturating_sub(start);
            let mut run = run.lock().unwrap_or_else(PoisonError::into_inner);
            match result {
                Ok(_) => {
                    run.parts[at].compiled += 1;
                    if run.met.insert((loaded.first, name.clone())) {
                        run.compiled.push((time, name.clone()));
                    }
                }
                Err(error) => {
                    let place = run.parts[at].place.clone();
                    run.failures.push(Failure {
                        place,
                        kernel: Some(name.clone()),
                        cause: cause(&error),
                        message: error.to_string(),
                        kernels: 1,
                    });
                }
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

/// What this thread has used of its processor: other work on the machine does not count.
fn processor_time() -> Duration {
    let now = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID);
    now.map_or(Duration::ZERO, Duration::from)
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

    const ALL: Wanted<'_> = Wanted { part: "", every: 1 };

    fn run(texts: &[&str], wanted: Wanted<'_>) -> Run {
        let image = Image {
            place: "test".to_owned(),
            texts: texts.iter().map(|text| format!("{HEAD}{text}")).collect(),
        };
        all(&[image], 2, wanted, &ProgressBar::hidden())
    }

    #[test]
    fn good_and_bad_kernels_are_told_apart() {
        let text = ".visible .entry good() { ret; }\n\
             .visible .entry bad() { .reg .b64 %rd<3>; frobnicate.u32 %rd1, %rd2; ret; }\n\
             .extern .func missing();\n\
             .visible .entry unresolved() { call missing; ret; }\n";
        let all = run(&[text], ALL);
        assert_eq!((all.total(), all.compiled.len()), (3, 1));
        assert_eq!(all.compiled[0].1, "good");
        let mut failed: Vec<_> = all
            .failures
            .iter()
            .filter_map(|f| f.kernel.as_deref())
            .collect();
        failed.sort_unstable();
        assert_eq!(failed, ["bad", "unresolved"]);
        let named = Wanted {
            part: "oo",
            every: 1,
        };
        assert_eq!(run(&[text], named).total(), 1);
        let some = run(&[text], Wanted { part: "", every: 2 });
        assert_eq!((some.total(), some.compiled.len()), (2, 1));
    }

    #[test]
    fn parts_are_linked() {
        let all = run(
            &[
                ".extern .func f();\n.visible .entry k() { call f; ret; }\n",
                ".visible .func f() { ret; }\n",
            ],
            ALL,
        );
        assert_eq!(
            (
                all.parts[0].modules,
                all.parts[0].compiled,
                all.failures.len()
            ),
            (2, 1, 0)
        );
    }

    #[test]
    fn a_module_that_is_met_again_counts_and_takes_no_time() {
        let image = |place: &str| Image {
            place: place.to_owned(),
            texts: vec![format!("{HEAD}.visible .entry k() {{ ret; }}\n")],
        };
        let images = [image("first"), image("second")];
        let all = all(&images, 2, ALL, &ProgressBar::hidden());
        let counts: Vec<_> = all.parts.iter().map(|p| (p.total, p.compiled)).collect();
        assert_eq!(counts, [(1, 1), (1, 1)]);
        assert_eq!(all.compiled.len(), 1);
    }

    #[test]
    fn kernels_of_a_module_that_does_not_load_are_counted() {
        let all = run(&["this is no PTX\n.entry a() {}\n.entry b() {}"], ALL);
        assert_eq!((all.total(), all.failures.len()), (2, 1));
    }
}
