//! Input made to break things: errors are fine, panics and endless work are not.

use proptest::prelude::*;
use rgpu_ptx::{ErrorKind, Module, print, validate::validate};

use crate::{corpus::files, support::wrap};

/// Does everything that a driver could do with a module.
fn exercise(bytes: &[u8]) {
    let Ok(module) = Module::parse_bytes(bytes) else {
        return;
    };
    for function in module.functions.iter().filter(|f| f.body.is_some()) {
        let Ok(body) = function.parse_body(&module) else {
            continue;
        };
        let _ = validate(&module, function, &body);
        assert!(!print::function(&module, function, &body).is_empty());
    }
    // What parses can be printed, and what is printed reads the same.
    if let Ok(text) = print::module(&module) {
        let again = Module::parse(text.as_str()).unwrap_or_else(|e| panic!("{e}\n{text}"));
        let twice = print::module(&again).unwrap_or_else(|e| panic!("{e}\n{text}"));
        assert_eq!(twice, text);
    }
}

/// Pieces that make syntax errors interesting.
const PIECES: &[&str] = &[
    "{",
    "}",
    "(",
    ")",
    "[",
    "]",
    ";",
    ",",
    "|",
    "!",
    "@",
    "_",
    ":",
    "<",
    ">",
    "\"",
    "/*",
    "//",
    "0f",
    "0d",
    "0x",
    "99999999999999999999",
    "-",
    "+",
    "<4294967295>",
    ".reg .b32 %z<4000000>;",
    ".param .b64 z[9999999999];",
    "%r1",
    "%r999999",
    "%tid",
    ".v4",
    ".v8",
    ".b128",
    ".pred",
    "ld.global.v4.u32",
    "call",
    "brx.idx",
    ".branchtargets",
    ".align 3",
    ".align 0",
    "0xFF00(g)",
    "generic(",
    "\u{e9}",
    "{{{{{{",
    "mov.b64 {",
    ".version 99.99",
    ".alias",
];

proptest! {
    #[test]
    fn arbitrary_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        exercise(&bytes);
        let text = String::from_utf8_lossy(&bytes);
        exercise(wrap(&text).as_bytes());
    }

    #[test]
    fn arbitrary_pieces(pieces in proptest::collection::vec(0..PIECES.len(), 0..40)) {
        let text: Vec<&str> = pieces.iter().map(|&i| PIECES[i]).collect();
        exercise(wrap(&text.join(" ")).as_bytes());
    }

    #[test]
    fn mutated_modules(file in 0usize..10, edits in proptest::collection::vec((any::<u16>(), any::<u8>(), 0..PIECES.len()), 1..12)) {
        // The smaller files suffice, and keep the test short.
        let mut list = files();
        list.sort_by_key(|f| f.1.len());
        let mut bytes = list.swap_remove(file % 6).1.into_bytes();
        for (at, kind, piece) in edits {
            let at = usize::from(at) % bytes.len();
            match kind % 4 {
                0 => bytes[at] = kind,
                1 => drop(bytes.drain(at..(at + usize::from(kind)).min(bytes.len()))),
                2 => drop(bytes.splice(at..at, PIECES[piece].bytes())),
                _ => bytes.truncate(at.max(100)),
            }
            if bytes.is_empty() {
                break;
            }
        }
        exercise(&bytes);
    }
}

#[test]
fn nesting_is_limited() {
    for (open, close) in [("{", "}"), ("mov.u32 %r1, (", ")"), ("mov.u32 %r1, -", "")] {
        let text = wrap(&format!(
            "{}1{}",
            open.repeat(100_000),
            close.repeat(100_000)
        ));
        let module = Module::parse(text).unwrap();
        assert!(module.kernel("k").unwrap().parse_body(&module).is_err());
    }
}

#[test]
fn small_texts_do_not_ask_for_much_memory() {
    let registers = ".reg .b32 %z<4000000>;".repeat(10);
    let module = Module::parse(wrap(&registers)).unwrap();
    let error = module.kernel("k").unwrap().parse_body(&module).unwrap_err();
    assert!(
        matches!(error.kind, ErrorKind::TooLarge | ErrorKind::Name),
        "{error}"
    );
    let labels = vec!["X"; 10_000].join(", ");
    let jumps = format!(
        "L: .branchtargets {labels}; {} X:",
        "brx.idx %r1, L;".repeat(10_000)
    );
    let module = Module::parse(wrap(&jumps)).unwrap();
    let error = module.kernel("k").unwrap().parse_body(&module).unwrap_err();
    assert_eq!(error.kind, ErrorKind::TooLarge, "{error}");
    let rows = ".version 8.0\n.global .u8 a[2][1000000000000] = {{1}, {2}};";
    assert_eq!(Module::parse(rows).unwrap_err().kind, ErrorKind::TooLarge);
    let size = ".version 8.0\n.global .u64 a[1000000][1000000][1000000];";
    assert_eq!(Module::parse(size).unwrap_err().kind, ErrorKind::TooLarge);
}

#[test]
fn long_names_take_no_long_time() {
    let name = format!("%r{}", "1".repeat(1_000_000));
    let module = Module::parse(wrap(&format!("mov.u32 %r1, {name};"))).unwrap();
    assert!(module.kernel("k").unwrap().parse_body(&module).is_err());
}

#[test]
fn errors_of_one_body_leave_the_others_alone() {
    let text = ".version 8.0\n.target sm_80\n.address_size 64\n\
                .entry bad() { nonsense here; }\n.entry good() { ret; }\n";
    let module = Module::parse(text).unwrap();
    assert!(module.kernel("good").unwrap().parse_body(&module).is_ok());
    let error = module
        .kernel("bad")
        .unwrap()
        .parse_body(&module)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "PTX line 4:16 in bad: unknown instruction `nonsense`: `nonsense here`"
    );
}
