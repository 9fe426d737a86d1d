//! Names for addresses of a recording: functions, files and lines, from the files that were mapped.

use std::collections::HashMap;

use addr2line::Loader;
use object::{Object as _, ObjectSegment as _};

use crate::read::{Module, Recorded};

/// Looks names up, and keeps what it opened.
#[derive(Default)]
pub struct Symbols {
    files: HashMap<String, Option<File>>,
}

impl std::fmt::Debug for Symbols {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Symbols").finish_non_exhaustive()
    }
}

struct File {
    loader: Loader,
    /// Segments: place in the file, size there, address.
    segments: Vec<(u64, u64, u64)>,
}

impl File {
    fn open(path: &str) -> Option<Self> {
        let file = std::fs::File::open(path).ok()?;
        let cache = object::ReadCache::new(file);
        let object = object::File::parse(&cache).ok()?;
        let segments = object.segments().map(|segment| {
            let (at, size) = segment.file_range();
            (at, size, segment.address())
        });
        Some(Self {
            segments: segments.collect(),
            loader: Loader::new(path).ok()?,
        })
    }

    /// The file's own address for what stands at `at` in it.
    fn address(&self, at: u64) -> Option<u64> {
        let (start, _, address) = self
            .segments
            .iter()
            .find(|(start, size, _)| at >= *start && at - *start < *size)?;
        address.checked_add(at - start)
    }
}

/// A frame, for people.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Frame {
    /// The function, or the file and the place in it.
    pub name: String,
    /// File and line, where debug information has them.
    pub line: Option<String>,
    /// The file that was mapped.
    pub module: String,
}

impl Frame {
    /// Whether it is of the client library.
    fn is_ours(&self) -> bool {
        let file = self.module.rsplit('/').next().unwrap_or_default();
        file == "libcuda.so.1" || file.starts_with("librgpu_")
    }
}

impl std::fmt::Display for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let file = self.module.rsplit('/').next().unwrap_or_default();
        match &self.line {
            Some(line) => write!(f, "{} ({line})", self.name),
            None if self.name.contains('+') => f.write_str(&self.name),
            None => write!(f, "{} ({file})", self.name),
        }
    }
}

impl Symbols {
    /// The frames of a call site, the innermost first, without those of the client library.
    pub fn frames(&mut self, recorded: &Recorded, addresses: &[u64]) -> Vec<Frame> {
        // A return address is behind the call.
        let frames = addresses
            .iter()
            .flat_map(|at| self.frame(recorded, at.saturating_sub(1)));
        let frames: Vec<Frame> = frames.collect();
        let ours = frames.iter().take_while(|frame| frame.is_ours()).count();
        frames.into_iter().skip(ours).collect()
    }

    /// The functions at an address: more than one where some were inlined.
    fn frame(&mut self, recorded: &Recorded, at: u64) -> Vec<Frame> {
        let module = recorded
            .modules
            .iter()
            .rev()
            .find(|module| (module.start..module.end).contains(&at));
        let Some(module) = module else {
            return Vec::new();
        };
        let place = (at - module.start).saturating_add(module.offset);
        let named = self.named(module, place).unwrap_or_default();
        if !named.is_empty() {
            return named;
        }
        let file = module.path.rsplit('/').next().unwrap_or_default();
        vec![Frame {
            name: format!("{file}+{place:#x}"),
            line: None,
            module: module.path.clone(),
        }]
    }

    fn named(&mut self, module: &Module, place: u64) -> Option<Vec<Frame>> {
        let path = &module.path;
        let file = self
            .files
            .entry(path.clone())
            .or_insert_with(|| File::open(path))
            .as_ref()?;
        let address = file.address(place)?;
        let symbol = || file.loader.find_symbol(address).map(demangled);
        let mut all = Vec::new();
        if let Ok(mut frames) = file.loader.find_frames(address) {
            while let Ok(Some(frame)) = frames.next() {
                // Where debug information has lines and no functions, there is one frame, and the symbol names it.
                let function = frame.function.as_ref().and_then(|f| f.raw_name().ok());
                let Some(name) = function.map(|name| demangled(&name)).or_else(symbol) else {
                    continue;
                };
                let line = frame.location.and_then(|location| {
                    let file = location.file?.rsplit('/').next()?.to_owned();
                    Some(format!("{file}:{}", location.line?))
                });
                all.push(Frame {
                    name,
                    line,
                    module: path.clone(),
                });
            }
        }
        if all.is_empty() {
            all.push(Frame {
                name: symbol()?,
                line: None,
                module: path.clone(),
            });
        }
        Some(all)
    }
}

/// A name as its language writes it, without its parameters.
fn demangled(name: &str) -> String {
    if let Ok(rust) = rustc_demangle::try_demangle(name) {
        return format!("{rust:#}");
    }
    let cpp = name
        .starts_with("_Z")
        .then(|| cpp_demangle::Symbol::new(name).ok())
        .flatten();
    let options = cpp_demangle::DemangleOptions::new().no_params();
    cpp.and_then(|symbol| symbol.demangle_with_options(&options).ok())
        .unwrap_or_else(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_demangled() {
        assert_eq!(demangled("_ZN3foo3barEi"), "foo::bar");
        assert_eq!(demangled("_RNvC6_123foo3bar"), "123foo::bar");
        assert_eq!(demangled("main"), "main");
    }

    #[test]
    fn an_address_of_this_program_has_its_name() {
        #[inline(never)]
        fn here() -> u64 {
            std::hint::black_box(here as *const () as u64)
        }
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let line = maps.lines().find(|line| {
            let (start, end) = line.split(' ').next().unwrap().split_once('-').unwrap();
            let number = |text| u64::from_str_radix(text, 16).unwrap();
            (number(start)..number(end)).contains(&here())
        });
        let words: Vec<&str> = line.unwrap().split_whitespace().collect();
        let (start, end) = words[0].split_once('-').unwrap();
        let number = |text| u64::from_str_radix(text, 16).unwrap();
        let module = Module {
            start: number(start),
            end: number(end),
            offset: number(words[2]),
            path: words[5].into(),
        };
        let recorded = Recorded {
            modules: vec![module],
            ..Recorded::default()
        };
        let frames = Symbols::default().frames(&recorded, &[here() + 2, 1]);
        assert_eq!(frames.len(), 1, "{frames:?}");
        assert!(
            frames[0]
                .name
                .contains("an_address_of_this_program_has_its_name::here"),
            "{frames:?}"
        );
        let line = frames[0].line.as_deref().unwrap_or_default();
        assert!(line.starts_with("symbols.rs:"), "{frames:?}");
    }
}
