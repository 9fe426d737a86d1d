//! Which names the inputs of a link define and use.

use std::collections::{BTreeMap, HashMap, HashSet};

use rgpu_ptx::ast::Linkage;
use rgpu_ptx::types::StateSpace;

use super::Input;

/// A name at a module's scope.
struct Symbol<'a> {
    name: &'a str,
    linkage: Linkage,
    is_defined: bool,
}

fn symbols(input: &Input) -> impl Iterator<Item = Symbol<'_>> {
    let variables = input.module.variables.iter().map(|variable| Symbol {
        name: &variable.name,
        linkage: variable.linkage,
        // Shared memory that is declared elsewhere gets its size with the launch.
        is_defined: variable.linkage != Linkage::Extern || variable.space == StateSpace::Shared,
    });
    let functions = input.module.functions.iter().map(|function| Symbol {
        name: &function.name,
        linkage: function.linkage,
        is_defined: function.body.is_some() || function.alias_of.is_some(),
    });
    variables.chain(functions)
}

/// Names that inputs use and none defines, each with the first input that uses it.
pub(super) fn missing(inputs: &[Input]) -> BTreeMap<String, String> {
    let shared: HashSet<&str> = inputs.iter().flat_map(exported).collect();
    let mut missing = BTreeMap::new();
    for input in inputs {
        let own = symbols(input).filter(|symbol| symbol.is_defined);
        let own: HashSet<&str> = own.map(|symbol| symbol.name).collect();
        for Symbol { name, .. } in symbols(input) {
            let known = own.contains(name)
                || shared.contains(name)
                || rgpu_softgpu_jit::is_system_function(name);
            if !known && is_used(input, name) {
                missing
                    .entry(name.to_owned())
                    .or_insert_with(|| input.name.clone());
            }
        }
    }
    missing
}

/// What other inputs can use of `input`.
fn exported(input: &Input) -> impl Iterator<Item = &str> {
    symbols(input)
        .filter(|symbol| symbol.is_defined && symbol.linkage != Linkage::Internal)
        .map(|symbol| symbol.name)
}

/// Whether `input` defines any of the names.
pub(super) fn defines_any(input: &Input, names: &BTreeMap<String, String>) -> bool {
    exported(input).any(|name| names.contains_key(name))
}

/// What is wrong with the names of all inputs together.
pub(super) fn complaints(inputs: &[Input]) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut owners: HashMap<&str, &str> = HashMap::new();
    for input in inputs {
        for symbol in symbols(input) {
            let is_strong = symbol.is_defined && symbol.linkage == Linkage::Visible;
            if let Some(first) = is_strong
                .then(|| owners.insert(symbol.name, &input.name))
                .flatten()
            {
                complaints.push(format!(
                    "multiple definition of '{}' in '{}', first defined in '{first}'",
                    symbol.name, input.name
                ));
            }
        }
    }
    let missing = missing(inputs).into_iter();
    complaints
        .extend(missing.map(|(name, user)| format!("undefined reference to '{name}' in '{user}'")));
    complaints
}

/// Whether a body or a first value names `name`.
fn is_used(input: &Input, name: &str) -> bool {
    let text = &input.module.text;
    let bodies = input
        .module
        .functions
        .iter()
        .filter_map(|function| function.body);
    let mut bodies = bodies.map(|body| body.text(text));
    let others = input.module.variables.iter();
    let others = others.filter(|variable| variable.name != name);
    let mut values = others.map(|variable| {
        let statement = &text[variable.span.start as usize..];
        &statement[..statement.find(';').unwrap_or(statement.len())]
    });
    bodies.any(|text| holds_word(text, name)) || values.any(|text| holds_word(text, name))
}

fn holds_word(text: &str, word: &str) -> bool {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$');
    let bytes = text.as_bytes();
    text.match_indices(word).any(|(at, _)| {
        let before = at.checked_sub(1).and_then(|at| bytes.get(at));
        let after = bytes.get(at + word.len());
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(name: &str, text: &str) -> Input {
        let head = ".version 8.0\n.target sm_70\n.address_size 64\n";
        Input {
            name: name.to_owned(),
            module: rgpu_ptx::Module::parse(format!("{head}{text}")).unwrap(),
        }
    }

    const CALLER: &str = ".extern .func g();
        .extern .func never_called();
        .extern .func (.param .b32 r) vprintf(.param .b64 a, .param .b64 b);
        .extern .global .align 4 .u32 counter;
        .extern .shared .align 4 .b8 buffer[];
        .visible .func f() { .reg .b64 %rd<3>; mov.u64 %rd1, counter; mov.u64 %rd2, buffer; call g; ret; }";

    #[test]
    fn only_what_is_used_is_missing() {
        let missing = missing(&[input("a", CALLER)]);
        let names: Vec<&str> = missing.keys().map(String::as_str).collect();
        assert_eq!(names, ["counter", "g"]);
    }

    #[test]
    fn a_name_of_another_file_is_found_unless_it_is_private() {
        let caller = || input("a", CALLER);
        let variable = ".visible .global .align 4 .u32 counter;";
        let all = input("b", &format!("{variable} .visible .func g() {{ ret; }}"));
        assert_eq!(complaints(&[caller(), all]), Vec::<String>::new());
        let private = input("b", &format!("{variable} .func g() {{ ret; }}"));
        assert_eq!(
            complaints(&[caller(), private]),
            ["undefined reference to 'g' in 'a'"]
        );
    }

    #[test]
    fn two_strong_definitions_are_one_too_many() {
        let twice = || input("a", ".visible .func f() { ret; }");
        let weak = || input("b", ".weak .func f() { ret; }");
        assert!(complaints(&[twice(), weak(), weak()]).is_empty());
        assert_eq!(
            complaints(&[twice(), input("c", ".visible .func f() { ret; }")]),
            ["multiple definition of 'f' in 'c', first defined in 'a'"]
        );
    }
}
