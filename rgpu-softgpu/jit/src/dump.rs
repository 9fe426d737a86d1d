//! `RGPU_DUMP=ptx,passes,clif,asm` writes what each stage makes of a kernel to numbered files in
//! `RGPU_DUMP_DIR` (default `rgpu-dump`), for those who debug the compiler.

use std::fmt::{Debug, Write as _};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use rgpu_ptx::Module;
use rgpu_ptx::ast::Function;

/// Which stages are wanted.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Wanted {
    ptx: bool,
    passes: bool,
    clif: bool,
    asm: bool,
}

impl Wanted {
    fn parse(list: &str) -> Self {
        let has = |name| list.split(',').any(|word| word.trim() == name);
        Self {
            ptx: has("ptx"),
            passes: has("passes"),
            clif: has("clif"),
            asm: has("asm"),
        }
    }

    fn from_environment() -> &'static Self {
        static WANTED: OnceLock<Wanted> = OnceLock::new();
        WANTED.get_or_init(|| Self::parse(&std::env::var("RGPU_DUMP").unwrap_or_default()))
    }
}

/// Writes the stages of one kernel.
#[derive(Debug)]
pub(crate) struct Dump {
    wanted: &'static Wanted,
    kernel: String,
    number: u32,
    step: u32,
}

/// Numbers the kernels of a process.
static NEXT: AtomicU32 = AtomicU32::new(0);

impl Dump {
    /// Whether anything is wanted.
    pub(crate) fn is_on() -> bool {
        *Wanted::from_environment() != Wanted::default()
    }

    pub(crate) fn new(kernel: &str) -> Self {
        let wanted = Wanted::from_environment();
        let number = if Self::is_on() {
            NEXT.fetch_add(1, Ordering::Relaxed)
        } else {
            0
        };
        Self {
            wanted,
            kernel: kernel.to_owned(),
            number,
            step: 0,
        }
    }

    /// The kernel's own text, from its first directive to its last brace.
    pub(crate) fn ptx(&mut self, module: &Module, kernel: &Function) {
        if self.wanted.ptx {
            let head = kernel.span.text(&module.text);
            let body = kernel.body.map_or("", |body| body.text(&module.text));
            self.write("kernel.ptx", &format!("{head}\n{{{body}}}\n"));
        }
    }

    pub(crate) fn pass(&mut self, name: &str, result: &dyn Debug) {
        if self.wanted.passes {
            let mut text = String::new();
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{result:#?}");
            self.write(&format!("{name}.txt"), &text);
        }
    }

    pub(crate) fn wants_clif(&self) -> bool {
        self.wanted.clif
    }

    pub(crate) fn wants_asm(&self) -> bool {
        self.wanted.asm
    }

    pub(crate) fn clif(&mut self, function: &str, text: &str) {
        self.write(&format!("{}.clif", file_name(function)), text);
    }

    pub(crate) fn asm(&mut self, function: &str, text: &str) {
        self.write(&format!("{}.asm", file_name(function)), text);
    }

    /// A dump that cannot be written is not worth failing a kernel for.
    fn write(&mut self, name: &str, text: &str) {
        let folder = std::env::var_os("RGPU_DUMP_DIR")
            .map_or_else(|| PathBuf::from("rgpu-dump"), PathBuf::from);
        let file = format!(
            "{:04}-{}-{:02}-{name}",
            self.number,
            file_name(&self.kernel),
            self.step
        );
        self.step += 1;
        let _ =
            std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(folder.join(file), text));
    }
}

/// A symbol as part of a file name: cut, and without characters that paths give a meaning.
fn file_name(symbol: &str) -> String {
    let safe = |c: char| {
        if c.is_ascii_alphanumeric() || c == '_' {
            c
        } else {
            '-'
        }
    };
    symbol.chars().take(80).map(safe).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_the_list() {
        let wanted = Wanted::parse("ptx, asm,unknown");
        assert_eq!(
            wanted,
            Wanted {
                ptx: true,
                asm: true,
                ..Wanted::default()
            }
        );
        assert_eq!(Wanted::parse(""), Wanted::default());
    }

    #[test]
    fn file_names_hold_no_separators() {
        assert_eq!(file_name("../$a"), "----a");
        assert_eq!(file_name(&"x".repeat(500)).len(), 80);
    }
}
