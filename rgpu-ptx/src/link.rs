//! Links the PTX of several source files into one text, as programs of relocatable device code need it.
//!
//! What one file defines and another declares finds each other by name once they stand in one module. Left to do:
//! names that a file keeps to itself may not meet those of another, of several weak definitions one stays, and the
//! module has one head.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use crate::Module;
use crate::ast::Linkage;
use crate::error::Error;

/// A symbol of a file.
struct Symbol<'a> {
    name: &'a str,
    linkage: Linkage,
    /// Whether it is more than a declaration.
    is_defined: bool,
    /// All of its text.
    place: Range<usize>,
}

/// One module that means what all of `texts` mean together.
pub fn link(texts: impl IntoIterator<Item = String>) -> Result<Module, Error> {
    let modules = texts.into_iter().map(Module::parse);
    let modules = modules.collect::<Result<Vec<_>, _>>()?;
    Module::parse(joined(&modules))
}

fn joined(modules: &[Module]) -> String {
    let symbols: Vec<Vec<Symbol<'_>>> = modules.iter().map(symbols).collect();
    let is_shared = |symbol: &&Symbol<'_>| symbol.linkage != Linkage::Internal;
    let shared = symbols.iter().flatten().filter(is_shared);
    let mut taken: HashSet<&str> = shared.map(|symbol| symbol.name).collect();
    let strong = |symbol: &&Symbol<'_>| symbol.is_defined && symbol.linkage == Linkage::Visible;
    let strong = symbols.iter().flatten().filter(strong);
    let mut defined: HashSet<&str> = strong.map(|symbol| symbol.name).collect();

    let mut linked = head(modules);
    for (number, (module, symbols)) in modules.iter().zip(&symbols).enumerate() {
        let mut renamed = HashMap::new();
        let mut dropped = Vec::new();
        for symbol in symbols {
            match symbol.linkage {
                Linkage::Internal if !taken.insert(symbol.name) => {
                    renamed.insert(symbol.name, format!("{}__file{number}", symbol.name));
                }
                Linkage::Weak | Linkage::Common
                    if symbol.is_defined && !defined.insert(symbol.name) =>
                {
                    dropped.push(symbol.place.clone());
                }
                _ => {}
            }
        }
        append(&mut linked, &module.text, &dropped, &renamed);
    }
    linked
}

/// The newest version and the highest target of all.
fn head(modules: &[Module]) -> String {
    let version = modules.iter().map(|module| module.version).max();
    let (major, minor) = version.unwrap_or_default();
    let by_arch = |module: &&Module| module.target_arch();
    let target = modules.iter().max_by_key(by_arch);
    let target = target.map_or("", |module| module.target.as_str());
    format!(".version {major}.{minor}\n.target {target}\n.address_size 64\n")
}

fn symbols(module: &Module) -> Vec<Symbol<'_>> {
    let text = module.text.as_bytes();
    let end_of = |from: usize, mark: u8| {
        let length = text[from..].iter().position(|&byte| byte == mark);
        length.map_or(text.len(), |length| from + length + 1)
    };
    let variables = module.variables.iter().map(|variable| {
        let start = variable.span.start as usize;
        Symbol {
            name: &variable.name,
            linkage: variable.linkage,
            is_defined: variable.linkage != Linkage::Extern,
            place: start..end_of(start, b';'),
        }
    });
    let functions = module.functions.iter().map(|function| {
        let start = function.span.start as usize;
        let end = match function.body {
            Some(body) => end_of(body.end as usize, b'}'),
            None => end_of(start, b';'),
        };
        Symbol {
            name: &function.name,
            linkage: function.linkage,
            is_defined: function.body.is_some(),
            place: start..end,
        }
    });
    variables.chain(functions).collect()
}

/// Directives of a module's head.
const HEAD: [&str; 3] = ["version", "target", "address_size"];

/// Appends `text` without its head and the `dropped` places, with other names.
fn append(to: &mut String, text: &str, dropped: &[Range<usize>], renamed: &HashMap<&str, String>) {
    let mut at = 0;
    while at < text.len() {
        if let Some(place) = dropped.iter().find(|place| place.start == at) {
            at = place.end;
            continue;
        }
        let rest = &text[at..];
        let length = token(rest);
        let piece = &rest[..length];
        if piece
            .strip_prefix('.')
            .is_some_and(|word| HEAD.contains(&word))
        {
            at += rest.find('\n').map_or(rest.len(), |end| end + 1);
            continue;
        }
        to.push_str(renamed.get(piece).map_or(piece, String::as_str));
        at += length;
    }
    to.push('\n');
}

/// Length of the token at the start of `text`: a word (with the dot or percent sign before it), a string, a comment, or
/// one character.
fn token(text: &str) -> usize {
    let of_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$';
    let ends_with = |end: &str, from: usize| {
        let found = text[from..].find(end);
        found.map_or(text.len(), |found| from + found + end.len())
    };
    match text.as_bytes() {
        [b'/', b'/', ..] => ends_with("\n", 0),
        [b'/', b'*', ..] => ends_with("*/", 2),
        [b'"', ..] => ends_with("\"", 1),
        [first, rest @ ..] if of_word(*first) || matches!(first, b'.' | b'%') => {
            1 + rest.iter().take_while(|&&byte| of_word(byte)).count()
        }
        _ => text.chars().next().map_or(1, char::len_utf8),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = r#".version 8.0
.target sm_70
.address_size 64
.extern .func (.param .b32 r) f (.param .b32 a);
.visible .global .align 4 .u32 shared_var;
.global .align 1 .b8 $str[4] = {65, 66, 67};
.weak .func w() { ret; }
.visible .entry k(.param .u64 p) {
    .reg .b64 %rd<2>;
    mov.u64 %rd1, $str; // of $str
    ret;
}
"#;
    const SECOND: &str = r#".version 8.3
.target sm_75
.address_size 64
.extern .global .align 4 .u32 shared_var;
.global .align 1 .b8 $str[3] = {88, 89};
.weak .func w() { ret; }
.visible .func (.param .b32 r) f (.param .b32 a) {
    .reg .b64 %rd<2>;
    mov.u64 %rd1, $str;
    ret;
}
"#;

    #[test]
    fn two_files_become_one_module() {
        let module = link([FIRST.to_owned(), SECOND.to_owned()]).unwrap();
        assert_eq!((module.version, module.target.as_str()), ((8, 3), "sm_75"));
        assert!(module.function("f").unwrap().body.is_some());
        assert!(module.function("w").unwrap().body.is_some());
        assert_eq!(module.kernels().count(), 1);
        assert_eq!(
            module.variable("shared_var").unwrap().linkage,
            Linkage::Visible
        );
        assert_eq!(module.variable("$str").unwrap().size, 4);
        assert_eq!(module.variable("$str__file1").unwrap().size, 3);
        let body = module.function("f").unwrap().body.unwrap();
        assert!(body.text(&module.text).contains("%rd1, $str__file1;"));
        let body = module.function("k").unwrap().body.unwrap();
        assert!(body.text(&module.text).contains("%rd1, $str;"));
    }

    #[test]
    fn a_strong_definition_beats_weak_ones() {
        let strong = SECOND.replace(".weak .func w", ".visible .func w");
        for texts in [[FIRST, &strong], [&strong, FIRST]] {
            let module = link(texts.map(str::to_owned)).unwrap();
            assert_eq!(module.function("w").unwrap().linkage, Linkage::Visible);
        }
    }

    #[test]
    fn one_file_stays_as_it_is() {
        let linked = link([FIRST.to_owned()]).unwrap();
        assert_eq!(linked.text.trim_end(), FIRST.trim_end());
    }
}
