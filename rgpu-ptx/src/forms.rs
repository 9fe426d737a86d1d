//! The forms of an instruction: its opcode with every choice of modifiers and types that the table accepts.
//!
//! Modifiers that do not depend on each other make forms of their own: `ld.global.u32`, `ld.v2.u32`,
//! `ld.acquire.gpu` and `ld.cg` are four forms, which one `ld.acquire.gpu.global.v2.u32` and one
//! `ld.global.cg.u32` show.

use std::collections::BTreeMap;

use crate::{
    ast::{Instr, Modifiers},
    instr_table::{Opcode, Row},
    parse::instr::{apply, flag_place},
    print::{modifier_tokens, word},
    rules::ModClass as C,
    types::{
        AtomOp, BarRedOp, BoolOp, CacheHint, CacheLevel, CacheOp, CmpOp, MatchMode, MemSem,
        MulMode, PrmtMode, ProxyKind, Rounding, Scope, ShflMode, ShiftDir, ShiftMode, StateSpace,
        TestpOp, VecWidth, VideoOp, VoteMode,
    },
    validate,
};

/// Modifiers that are chosen together; the types with them or not.
#[derive(Clone, Copy, Debug)]
struct Group {
    classes: &'static [C],
    types: bool,
}

const fn with_types(classes: &'static [C]) -> Group {
    Group {
        classes,
        types: true,
    }
}

const fn alone(classes: &'static [C]) -> Group {
    Group {
        classes,
        types: false,
    }
}

/// How the modifiers of an instruction fall into groups. The first group holds what must be there.
fn groups(row: &'static Row) -> Vec<Group> {
    use Opcode as Op;
    match row.op {
        Op::Ld | Op::Ldu | Op::St => vec![
            with_types(&[C::Space]),
            with_types(&[C::Vec]),
            alone(&[C::Mmio, C::Sem, C::Scope]),
            alone(&[C::Nc, C::Cache]),
            alone(&[C::Hints]),
        ],
        Op::Atom | Op::Red => vec![
            with_types(&[C::Atom, C::Noftz]),
            with_types(&[C::Atom, C::Noftz, C::Vec]),
            alone(&[C::Space]),
            alone(&[C::Sem, C::Scope]),
            alone(&[C::Hints]),
        ],
        Op::MultimemLdReduce | Op::MultimemSt | Op::MultimemRed => vec![
            with_types(&[C::Atom, C::AccF32, C::Vec]),
            alone(&[C::Space]),
            alone(&[C::Sem, C::Scope]),
        ],
        Op::CpAsync => vec![alone(&[C::Cache, C::Space, C::Space2]), alone(&[C::Hints])],
        Op::Set => vec![with_types(&[C::Ftz]), alone(&[C::Cmp, C::BoolOp])],
        Op::Setp => vec![
            with_types(&[C::Cmp]),
            with_types(&[C::Ftz]),
            alone(&[C::Cmp, C::BoolOp]),
        ],
        Op::Cvt => vec![
            with_types(&[C::Rounding]),
            with_types(&[C::Ftz]),
            with_types(&[C::Sat]),
            with_types(&[C::Satfinite]),
            with_types(&[C::Relu]),
        ],
        Op::MbarrierArrive
        | Op::MbarrierArriveDrop
        | Op::MbarrierArriveExpectTx
        | Op::MbarrierArriveDropExpectTx
        | Op::MbarrierExpectTx
        | Op::MbarrierCompleteTx => {
            vec![
                with_types(&[C::Space, C::NoComplete]),
                alone(&[C::Sem, C::Scope]),
            ]
        }
        Op::MbarrierTestWait | Op::MbarrierTryWait => {
            vec![
                with_types(&[C::Space, C::Parity]),
                alone(&[C::Sem, C::Scope]),
            ]
        }
        Op::CreatePolicyFractional | Op::Prefetch | Op::Prefetchu => vec![with_types(row.mods)],
        _ => vec![with_types(row.mods)],
    }
}

/// A form, and an instruction that shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form {
    /// Opcode and the modifiers and types that matter.
    pub text: String,
    /// Opcode with all modifiers and types that a valid instruction of this form needs.
    pub example: String,
}

/// Every form that the table accepts, group by group, in the order of their spelling.
pub fn all(row: &'static Row) -> Vec<Form> {
    let mut forms: Vec<Form> = Vec::new();
    for group in groups(row) {
        let mut found = BTreeMap::new();
        for mods in choices(row, group.classes, group.types) {
            let chosen = instr(row, mods);
            let text = spelling(&chosen, group);
            // Without any modifier a later group says nothing.
            if found.contains_key(&text) || (!forms.is_empty() && text == row.text) {
                continue;
            }
            if let Some(whole) = completed(row, group, &chosen) {
                found.insert(text, word(&whole));
            }
        }
        found.retain(|text, _| forms.iter().all(|form| form.text != *text));
        let fresh = found.into_iter();
        forms.extend(fresh.map(|(text, example)| Form { text, example }));
    }
    forms
}

/// The forms that an instruction shows.
pub fn shown_by(instr: &Instr) -> Vec<String> {
    let row = instr.op.row();
    groups(row)
        .into_iter()
        .map(|group| spelling(instr, group))
        .collect()
}

fn instr(row: &Row, mods: Modifiers) -> Instr {
    Instr {
        op: row.op,
        mods,
        operands: Vec::new(),
    }
}

/// Opcode, modifiers of the group, types if they belong to it.
fn spelling(instr: &Instr, group: Group) -> String {
    let row = instr.op.row();
    let mut text = row.text.to_owned();
    for class in row
        .mods
        .iter()
        .filter(|class| group.classes.contains(class))
    {
        modifier_tokens(&mut text, instr, *class);
    }
    if group.types {
        for ty in instr.mods.types.iter() {
            text.push('.');
            text.push_str(ty.token());
        }
    }
    text
}

/// Every choice of modifiers of `classes`, and of types.
fn choices(row: &Row, classes: &[C], types: bool) -> Vec<Modifiers> {
    let mut list = vec![Modifiers::default()];
    if types {
        let needed = row.types.len() - row.optional_types;
        for (at, set) in row.types.iter().enumerate() {
            let mut longer = Vec::new();
            for mods in &list {
                if at >= needed || mods.types.len() < at {
                    longer.push(mods.clone());
                }
                if mods.types.len() < at {
                    continue;
                }
                longer.extend(set.iter().map(|ty| {
                    let mut mods = mods.clone();
                    mods.types.push(ty);
                    mods
                }));
            }
            list = longer;
        }
    }
    for &class in row.mods.iter().filter(|class| classes.contains(class)) {
        let mut more = if row.required.contains(&class) {
            Vec::new()
        } else {
            list.clone()
        };
        for token in tokens(class) {
            more.extend(list.iter().map(|mods| {
                let mut mods = mods.clone();
                apply(&mut mods, class, token);
                mods
            }));
        }
        list = more;
    }
    list
}

/// A valid instruction with the chosen modifiers, and with others where it needs them.
fn completed(row: &'static Row, group: Group, chosen: &Instr) -> Option<Instr> {
    if validate::modifiers(chosen).is_ok() {
        return Some(chosen.clone());
    }
    let may_be_needed = |class: &C| {
        row.required.contains(class) || matches!(class, C::Space | C::Sem | C::Scope | C::Noftz)
    };
    let others: Vec<C> = row
        .mods
        .iter()
        .copied()
        .filter(|class| !group.classes.contains(class) && may_be_needed(class))
        .collect();
    let mut whole = choices(row, &others, !group.types)
        .into_iter()
        .map(|mut mods| {
            if group.types {
                mods.types = chosen.mods.types;
            }
            for &class in group.classes {
                for token in written(chosen, class) {
                    apply(&mut mods, class, &token);
                }
            }
            instr(row, mods)
        });
    whole.find(|instr| validate::modifiers(instr).is_ok())
}

/// The tokens of one class that an instruction carries.
fn written(instr: &Instr, class: C) -> Vec<String> {
    let mut text = String::new();
    modifier_tokens(&mut text, instr, class);
    text.split('.').skip(1).map(str::to_owned).collect()
}

/// Every spelling of a class.
fn tokens(class: C) -> Vec<&'static str> {
    macro_rules! tokens_of {
        ($($class:ident: $type:ident),+) => {
            match class {
                $(C::$class => $type::ALL.iter().map(|token| token.token()).collect(),)+
                flag => flag_place(&mut Modifiers::default(), flag).map(|(_, token)| token).into_iter().collect(),
            }
        };
    }
    tokens_of!(
        Rounding: Rounding, Cmp: CmpOp, BoolOp: BoolOp, Space: StateSpace, Space2: StateSpace,
        Sem: MemSem, Scope: Scope, Cache: CacheOp, Level: CacheLevel, Vec: VecWidth, Mul: MulMode,
        ShiftDir: ShiftDir, ShiftMode: ShiftMode, Prmt: PrmtMode, Atom: AtomOp, Shfl: ShflMode,
        Vote: VoteMode, MatchMode: MatchMode, BarRed: BarRedOp, Testp: TestpOp, Video: VideoOp,
        Proxy: ProxyKind, Hints: CacheHint
    )
}
