//! Real modules: all bodies are valid, and printing keeps them what they are.

use std::{fs, path::PathBuf};

use rgpu_ptx::{
    Module, Span,
    ast::{Body, Function, Variable},
    print,
    validate::validate,
};

/// The PTX files beside this test, in order of name.
pub(crate) fn files() -> Vec<(String, String)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut list: Vec<(String, String)> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "ptx"))
        .map(|path| {
            (
                path.display().to_string(),
                fs::read_to_string(&path).unwrap(),
            )
        })
        .collect();
    list.sort();
    assert!(list.len() >= 10);
    list
}

#[test]
fn every_body_is_valid() {
    for (path, text) in files() {
        let module = Module::parse(text).unwrap_or_else(|e| panic!("{path}: {e}"));
        assert!(module.kernels().next().is_some(), "{path}");
        for function in module.functions.iter().filter(|f| f.body.is_some()) {
            let body = function
                .parse_body(&module)
                .unwrap_or_else(|e| panic!("{path}: {e}"));
            validate(&module, function, &body).unwrap_or_else(|e| panic!("{path}: {e}"));
            assert!(!body.statements.is_empty(), "{path}: {}", function.name);
        }
    }
}

/// A body without places and invented names.
fn bare(mut body: Body) -> Body {
    body.reg_groups.clear();
    for label in &mut body.labels {
        label.name.clear();
    }
    body.vars = body
        .vars
        .into_iter()
        .map(|v| Variable {
            name: String::new(),
            ..bare_variable(v)
        })
        .collect();
    for prototype in &mut body.prototypes {
        prototype.name.clear();
    }
    for statement in &mut body.statements {
        statement.span = Span::default();
    }
    body
}

fn bare_variable(variable: Variable) -> Variable {
    Variable {
        span: Span::default(),
        ..variable
    }
}

fn bare_function(function: &Function) -> Function {
    Function {
        span: Span::default(),
        body: function.body.map(|_| Span::default()),
        ..function.clone()
    }
}

#[test]
fn printing_keeps_the_tree() {
    for (path, text) in files() {
        let module = Module::parse(text).unwrap();
        let printed = print::module(&module).unwrap();
        let again = Module::parse(printed.clone()).unwrap_or_else(|e| panic!("{path}: {e}"));
        let variables = |m: &Module| {
            m.variables
                .iter()
                .cloned()
                .map(bare_variable)
                .collect::<Vec<_>>()
        };
        assert_eq!(variables(&module), variables(&again), "{path}");
        assert_eq!(module.functions.len(), again.functions.len(), "{path}");
        for (one, two) in module.functions.iter().zip(&again.functions) {
            assert_eq!(bare_function(one), bare_function(two), "{path}");
            if one.body.is_some() {
                let body = bare(one.parse_body(&module).unwrap());
                let reparsed = two
                    .parse_body(&again)
                    .unwrap_or_else(|e| panic!("{path}: {e}"));
                assert_eq!(body, bare(reparsed), "{path}: {}", one.name);
            }
        }
        assert_eq!(print::module(&again).unwrap(), printed, "{path}");
    }
}
