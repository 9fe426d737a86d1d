//! Every instruction form that occurs in TensorFlow's kernels, and every opcode of the table.

use rgpu_ptx::{
    ast::StatementKind,
    instr_table::{CONTROL, ROWS, unsupported},
};

use crate::support::{check, operands, parse_one, whole, wrap};

/// Forms and how often they occur, most frequent first.
const TENSORFLOW: &str = include_str!("../data/forms-tensorflow-2.19.txt");

/// A whole statement of a form, or why there is none.
fn statement(form: &str, all: bool) -> Result<String, String> {
    match form {
        "bra" | "bra.uni" => return Ok(format!("{form} X; X:")),
        "call" | "call.uni" => return Ok(format!("{form} (%r1), ff, (%r2, %rd1);")),
        _ => {}
    }
    match parse_one(form).map_err(|e| e.to_string())? {
        StatementKind::Instr(instr) => Ok(format!("{form} {};", operands(&instr, all))),
        other => Err(format!("not an instruction: {other:?}")),
    }
}

#[test]
fn every_form_of_tensorflow_is_valid() {
    let mut bad = Vec::new();
    let mut count = 0;
    for line in TENSORFLOW.lines() {
        let form = line.split_whitespace().nth(1).expect("a count and a form");
        count += 1;
        let result = statement(form, false)
            .and_then(|text| check(&wrap(&text)).map(|_| ()).map_err(|e| e.to_string()));
        if let Err(error) = result {
            bad.push(format!("{form}: {error}"));
        }
    }
    assert_eq!(count, 480);
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}

/// Modifiers that each opcode needs before it means anything, and the types that go with them.
fn spellings(text: &str) -> &'static [&'static str] {
    match text {
        "add" | "sub" | "min" | "max" | "abs" | "neg" | "rem" | "sad" | "mov" => &[""],
        "mul" | "mad" => &[".lo", ".hi", ".wide", ".rn"],
        "madc" | "mul24" | "mad24" | "dp2a" => &[".lo", ".hi"],
        "div" => &["", ".rn", ".approx", ".full.ftz"],
        "fma" => &[".rn", ".rz.ftz", ".rm", ".rp"],
        "rcp" | "sqrt" => &[".rn", ".approx.ftz"],
        "rsqrt" | "sin" | "cos" | "lg2" | "ex2" | "tanh" => &[".approx"],
        "testp" => &[".finite", ".normal", ".subnormal", ".notanumber"],
        "set" | "setp" => &[".eq", ".lt.and", ".geu", ".num.xor", ".hi"],
        "vmad" => &["", ".sat.shr7", ".po.shr15"],
        "vset" | "vset2" | "vset4" => &[".eq", ".lt"],
        "szext" | "bmsk" => &[".clamp", ".wrap"],
        "shf" => &[".l.wrap", ".r.clamp"],
        "vshl" | "vshr" => &[".clamp", ".wrap.add"],
        "prmt" => &["", ".f4e", ".rc16"],
        "lop3" => &["", ".and"],
        "cvt" => &["", ".rn", ".rzi.ftz", ".sat", ".rs"],
        "cvt.pack" => &[".sat"],
        "cvta" => &[".global", ".to.shared", ".param"],
        "isspacep" => &[".global", ".shared::cluster"],
        "ld" => &[
            "",
            ".global.nc.v4",
            ".acquire.gpu",
            ".volatile.shared",
            ".L1::no_allocate.L2::cache_hint",
        ],
        "st" => &["", ".release.sys.global", ".local.v2", ".param", ".wt"],
        "atom" => &[
            ".add",
            ".global.cas",
            ".exch.relaxed.gpu",
            ".and",
            ".inc",
            ".min",
        ],
        "red" => &[".add", ".shared.or", ".max"],
        "multimem.ld_reduce" | "multimem.red" => &[".add", ".min.v2", ".or"],
        "prefetch" => &[".L1", ".global.L2", ".global.L2::evict_last"],
        "prefetchu" => &[".L1"],
        "discard" => &[".global.L2"],
        "applypriority" => &[".L2::evict_normal"],
        "createpolicy.fractional" => &[".L2::evict_last"],
        "cp.async" => &[
            ".ca.shared.global",
            ".cg.shared::cta.global.L2::128B.L2::cache_hint",
        ],
        "shfl" => &[".sync.up", ".idx"],
        "vote" => &[".sync.any", ".ballot.sync", ".all"],
        "match" => &[".any.sync", ".all.sync"],
        "redux" => &[".sync.add", ".sync.min", ".sync.xor"],
        "elect" => &[".sync"],
        "barrier.red" => &[".popc", ".and.aligned"],
        "membar" => &[".cta", ".gl"],
        "fence" => &[".sc.gpu", ".acq_rel.cta"],
        "fence.proxy" => &[".alias", ".async.global"],
        "fence.mbarrier_init" => &[".release.cluster"],
        "setmaxnreg.inc" | "setmaxnreg.dec" => &[".sync.aligned"],
        _ => &[""],
    }
}

/// Each opcode has a form that validates; forms that mean nothing for a type are refused, not worse.
#[test]
fn every_opcode_has_valid_forms() {
    let mut none = Vec::new();
    for row in ROWS {
        let first: Vec<String> = match row.types.first() {
            None => vec![String::new()],
            Some(set) => set.iter().map(|ty| format!(".{ty}")).collect(),
        };
        let second: Vec<String> = match row.types.get(1) {
            Some(_) if row.types.len() - row.optional_types < 2 => vec![String::new()],
            None => vec![String::new()],
            Some(set) => set.iter().map(|ty| format!(".{ty}")).collect(),
        };
        let third = if row.types.len() > 2 && row.optional_types == 0 {
            ".u32"
        } else {
            ""
        };
        for spelling in spellings(row.text) {
            let mut here = 0;
            for (a, b) in first
                .iter()
                .flat_map(|a| second.iter().map(move |b| (a, b)))
            {
                let form = format!("{}{spelling}{a}{b}{third}", row.text);
                for all in [false, true] {
                    let Ok(text) = statement(&form, all) else {
                        continue;
                    };
                    here += usize::from(check(&wrap(&text)).is_ok());
                }
            }
            if here == 0 {
                none.push(format!("{}{spelling}", row.text));
            }
        }
    }
    assert!(none.is_empty(), "no valid form of: {}", none.join(", "));
}

/// What the table of forms lists can be written down and validates.
#[test]
fn every_form_of_the_table_is_valid() {
    let mut bad = Vec::new();
    for row in ROWS {
        let forms = rgpu_ptx::forms::all(row);
        assert!(!forms.is_empty(), "{} has no form", row.text);
        for form in forms {
            let result = statement(&form.example, false)
                .and_then(|text| check(&wrap(&text)).map(|_| text).map_err(|e| e.to_string()));
            match result {
                Ok(text) => println!("FORM {text}"),
                Err(error) => bad.push(format!("{}: {error}", form.text)),
            }
        }
    }
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}

/// A wrong operand count or kind is an error for every opcode.
#[test]
fn every_opcode_refuses_wrong_operands() {
    for row in ROWS {
        let types: String = row.types[..row.types.len() - row.optional_types]
            .iter()
            .filter_map(|set| {
                set.iter()
                    .find(|&ty| whole(ty))
                    .or_else(|| set.iter().next())
            })
            .map(|ty| format!(".{ty}"))
            .collect();
        for spelling in spellings(row.text) {
            let form = format!("{}{spelling}{types}", row.text);
            let extra = "%r1, %r2, %r3, %r4, %r5, %r6, %r7";
            assert!(check(&wrap(&format!("{form} {extra};"))).is_err(), "{form}");
            if row
                .operands
                .iter()
                .any(|rule| *rule != rgpu_ptx::rules::Rule::OptPolicy)
            {
                let label = format!("{form} \"text\";");
                assert!(check(&wrap(&label)).is_err(), "{form}");
            }
        }
    }
}

#[test]
fn what_is_known_by_name_only_is_kept_as_text() {
    for name in unsupported() {
        let text = format!("@%p1 {name}.a.b [x, {{%r1, 2}}], %r2;");
        let (_, body) = check(&wrap(&text)).unwrap_or_else(|e| panic!("{name}: {e}"));
        let first = &body.statements[0];
        let wanted = format!("{name}.a.b [x, {{%r1, 2}}], %r2");
        assert_eq!(first.kind, StatementKind::Unsupported(wanted));
        assert!(first.guard.is_some());
    }
}

#[test]
fn spellings_are_unique() {
    let mut all: Vec<&str> = ROWS
        .iter()
        .flat_map(|r| r.aliases.iter().copied().chain([r.text]))
        .collect();
    all.extend(CONTROL.iter().map(|c| c.0));
    all.extend(unsupported());
    let count = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), count);
}

#[test]
fn rows_are_in_the_order_of_opcodes() {
    for (row, &op) in ROWS.iter().zip(rgpu_ptx::instr_table::Opcode::ALL) {
        assert_eq!(row.op, op);
        assert!(std::ptr::eq(op.row(), row));
        assert!(
            row.required.iter().all(|class| row.mods.contains(class)),
            "{}",
            row.text
        );
    }
}
