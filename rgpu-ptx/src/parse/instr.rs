//! Dotted words: which opcode, which modifiers.

use std::{collections::HashMap, sync::OnceLock};

use crate::{
    ast::Modifiers,
    instr_table::{Opcode, ROWS, unsupported},
    rules::ModClass,
    types::{
        AtomOp, BarRedOp, BoolOp, CacheHint, CacheLevel, CacheOp, CmpOp, MatchMode, MemSem,
        MulMode, PrmtMode, ProxyKind, Rounding, ScalarType, Scope, ShflMode, ShiftDir, ShiftMode,
        StateSpace, TestpOp, VecWidth, VideoOp, VideoScale, VoteMode,
    },
};

/// What a dotted word stands for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Form {
    Instr(Opcode, Modifiers),
    Branch { uniform: bool },
    BranchIndexed { uniform: bool },
    Call { uniform: bool },
    Unsupported,
}

/// Why a word is no instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BadForm {
    UnknownOpcode,
    /// The opcode is known, this modifier does not belong to it.
    Modifier(String),
    Repeated(String),
    TooManyTypes,
}

#[derive(Clone, Copy, Debug)]
enum Head {
    Op(Opcode),
    Branch,
    BranchIndexed,
    Call,
    Unsupported,
}

/// Most dots in the part of a word that names the opcode.
const MAX_HEAD: usize = 4;

fn heads() -> &'static HashMap<&'static str, Head> {
    static HEADS: OnceLock<HashMap<&'static str, Head>> = OnceLock::new();
    HEADS.get_or_init(|| {
        let mut map = HashMap::new();
        for row in ROWS {
            map.insert(row.text, Head::Op(row.op));
            map.extend(row.aliases.iter().map(|&alias| (alias, Head::Op(row.op))));
        }
        map.extend(unsupported().map(|text| (text, Head::Unsupported)));
        map.insert("bra", Head::Branch);
        map.insert("brx.idx", Head::BranchIndexed);
        map.insert("call", Head::Call);
        map
    })
}

/// The longest dotted prefix that names an opcode, and the rest.
fn split_head(word: &str) -> Option<(Head, &str, &str)> {
    let ends = word.match_indices('.').map(|(i, _)| i).take(MAX_HEAD - 1);
    let mut ends: Vec<usize> = ends.collect();
    if word.matches('.').count() < MAX_HEAD {
        ends.push(word.len());
    } else if let Some((i, _)) = word.match_indices('.').nth(MAX_HEAD - 1) {
        ends.push(i);
    }
    let found = ends
        .into_iter()
        .rev()
        .find_map(|end| Some((*heads().get(&word[..end])?, end)));
    found.map(|(head, end)| (head, &word[..end], &word[end..]))
}

/// Reads a dotted word, e.g. `ld.global.nc.v4.f32`. Modifiers may come in any order.
pub(crate) fn parse_form(word: &str) -> Result<Form, BadForm> {
    let (head, name, rest) = split_head(word).ok_or(BadForm::UnknownOpcode)?;
    let uniform = || match rest {
        "" => Ok(false),
        ".uni" => Ok(true),
        other => Err(BadForm::Modifier(other.trim_start_matches('.').to_owned())),
    };
    match head {
        Head::Branch => Ok(Form::Branch {
            uniform: uniform()?,
        }),
        Head::BranchIndexed => Ok(Form::BranchIndexed {
            uniform: uniform()?,
        }),
        Head::Call => Ok(Form::Call {
            uniform: uniform()?,
        }),
        Head::Unsupported => Ok(Form::Unsupported),
        Head::Op(op) => {
            // `bar.` is short for `barrier.….aligned`.
            let aligned = name.starts_with("bar.") && op != Opcode::BarWarpSync;
            let mut mods = Modifiers {
                aligned,
                ..Modifiers::default()
            };
            for token in rest.split('.').skip(1) {
                modifier(op, &mut mods, token)?;
            }
            Ok(Form::Instr(op, mods))
        }
    }
}

fn modifier(op: Opcode, mods: &mut Modifiers, token: &str) -> Result<(), BadForm> {
    if let Some(ty) = ScalarType::from_token(token) {
        return if mods.types.push(ty) {
            Ok(())
        } else {
            Err(BadForm::TooManyTypes)
        };
    }
    let mut repeated = false;
    for &class in op.row().mods {
        match apply(mods, class, token) {
            Applied::Yes => return Ok(()),
            Applied::Twice => repeated = true,
            Applied::No => {}
        }
    }
    let token = token.to_owned();
    Err(if repeated {
        BadForm::Repeated(token)
    } else {
        BadForm::Modifier(token)
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Applied {
    Yes,
    No,
    Twice,
}

fn option<T>(place: &mut Option<T>, value: Option<T>) -> Applied {
    match value {
        None => Applied::No,
        Some(_) if place.is_some() => Applied::Twice,
        found => {
            *place = found;
            Applied::Yes
        }
    }
}

fn flag(place: &mut bool, found: bool) -> Applied {
    match (found, *place) {
        (false, _) => Applied::No,
        (true, true) => Applied::Twice,
        (true, false) => {
            *place = true;
            Applied::Yes
        }
    }
}

/// Tries a token as a modifier of one class.
pub(crate) fn apply(m: &mut Modifiers, class: ModClass, t: &str) -> Applied {
    match class {
        ModClass::Rounding => option(&mut m.rounding, Rounding::from_token(t)),
        ModClass::Cmp => option(&mut m.cmp, CmpOp::from_token(t)),
        ModClass::BoolOp => option(&mut m.bool_op, BoolOp::from_token(t)),
        ModClass::Space => option(&mut m.space, StateSpace::from_token(t)),
        ModClass::Space2 => option(&mut m.space2, StateSpace::from_token(t)),
        ModClass::Sem => option(&mut m.sem, MemSem::from_token(t)),
        ModClass::Scope => option(&mut m.scope, Scope::from_token(t)),
        ModClass::Cache => option(&mut m.cache, CacheOp::from_token(t)),
        ModClass::Level => option(&mut m.level, CacheLevel::from_token(t)),
        ModClass::Vec => option(&mut m.vec, VecWidth::from_token(t)),
        ModClass::Mul => option(&mut m.mul, MulMode::from_token(t)),
        ModClass::ShiftDir => option(&mut m.shift_dir, ShiftDir::from_token(t)),
        ModClass::ShiftMode => option(&mut m.shift_mode, ShiftMode::from_token(t)),
        ModClass::Prmt => option(&mut m.prmt, PrmtMode::from_token(t)),
        ModClass::Atom => option(&mut m.atom, AtomOp::from_token(t)),
        ModClass::Shfl => option(&mut m.shfl, ShflMode::from_token(t)),
        ModClass::Vote => option(&mut m.vote, VoteMode::from_token(t)),
        ModClass::MatchMode => option(&mut m.match_mode, MatchMode::from_token(t)),
        ModClass::BarRed => option(&mut m.bar_red, BarRedOp::from_token(t)),
        ModClass::Testp => option(&mut m.testp, TestpOp::from_token(t)),
        ModClass::Video => option(&mut m.video, VideoOp::from_token(t)),
        ModClass::VideoScale => option(&mut m.scale, VideoScale::from_token(t)),
        ModClass::Proxy => option(&mut m.proxy, ProxyKind::from_token(t)),
        ModClass::Hints => match CacheHint::from_token(t) {
            Some(hint) => {
                m.hints.push(hint);
                Applied::Yes
            }
            None => Applied::No,
        },
        ModClass::Aligned if t == "aligned" => {
            m.aligned = true;
            Applied::Yes
        }
        _ => match flag_place(m, class) {
            Some((place, spelling)) => flag(place, t == spelling),
            None => Applied::No,
        },
    }
}

/// Where the flags live and how they are spelled.
pub(crate) fn flag_place(m: &mut Modifiers, class: ModClass) -> Option<(&mut bool, &'static str)> {
    Some(match class {
        ModClass::Approx => (&mut m.approx, "approx"),
        ModClass::Full => (&mut m.full, "full"),
        ModClass::Ftz => (&mut m.ftz, "ftz"),
        ModClass::Noftz => (&mut m.noftz, "noftz"),
        ModClass::Sat => (&mut m.sat, "sat"),
        ModClass::Satfinite => (&mut m.satfinite, "satfinite"),
        ModClass::Relu => (&mut m.relu, "relu"),
        ModClass::Oob => (&mut m.oob, "oob"),
        ModClass::Nan => (&mut m.nan, "NaN"),
        ModClass::XorSign => (&mut m.xorsign, "xorsign"),
        ModClass::Abs => (&mut m.abs, "abs"),
        ModClass::Cc => (&mut m.cc, "cc"),
        ModClass::ShiftAmt => (&mut m.shiftamt, "shiftamt"),
        ModClass::Po => (&mut m.plus_one, "po"),
        ModClass::To => (&mut m.to, "to"),
        ModClass::Mmio => (&mut m.mmio, "mmio"),
        ModClass::Nc => (&mut m.nc, "nc"),
        ModClass::AccF32 => (&mut m.acc_f32, "acc::f32"),
        ModClass::Sync => (&mut m.sync, "sync"),
        ModClass::Aligned => (&mut m.aligned, "aligned"),
        ModClass::Uniform => (&mut m.uniform, "uni"),
        ModClass::Noinc => (&mut m.noinc, "noinc"),
        ModClass::NoComplete => (&mut m.no_complete, "noComplete"),
        ModClass::Parity => (&mut m.parity, "parity"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instr(word: &str) -> (Opcode, Modifiers) {
        match parse_form(word) {
            Ok(Form::Instr(op, mods)) => (op, mods),
            other => panic!("{word}: {other:?}"),
        }
    }

    #[test]
    fn longest_prefix_names_the_opcode() {
        assert_eq!(instr("bar.warp.sync").0, Opcode::BarWarpSync);
        assert_eq!(instr("barrier.cta.sync").0, Opcode::BarSync);
        assert_eq!(
            instr("cp.async.mbarrier.arrive.noinc.shared.b64").0,
            Opcode::CpAsyncMbarrierArrive
        );
        assert_eq!(
            instr("mbarrier.arrive.expect_tx.release.cta.shared.b64").0,
            Opcode::MbarrierArriveExpectTx
        );
        assert_eq!(instr("cp.async.wait_all").0, Opcode::CpAsyncWaitAll);
        assert_eq!(
            parse_form("cp.async.bulk.wait_group"),
            Ok(Form::Unsupported)
        );
        assert_eq!(
            parse_form("mma.sync.aligned.m16n8k16"),
            Ok(Form::Unsupported)
        );
        assert_eq!(parse_form("bra.uni"), Ok(Form::Branch { uniform: true }));
    }

    #[test]
    fn order_of_modifiers_is_free() {
        assert_eq!(instr("vote.sync.ballot.b32"), instr("vote.ballot.sync.b32"));
        assert_eq!(
            instr("ld.global.acquire.gpu.b32"),
            instr("ld.acquire.gpu.global.b32")
        );
    }

    #[test]
    fn one_token_means_what_its_opcode_says() {
        let (_, bar) = instr("bar.red.and.pred");
        assert_eq!(
            (bar.bar_red, bar.bool_op, bar.aligned),
            (Some(BarRedOp::And), None, true)
        );
        let (_, set) = instr("set.eq.and.u32.f32");
        assert_eq!((set.bool_op, set.bar_red), (Some(BoolOp::And), None));
        let (_, copy) = instr("cp.async.ca.shared::cta.global.L2::128B");
        assert_eq!(copy.space, Some(StateSpace::Shared));
        assert_eq!(copy.space2, Some(StateSpace::Global));
    }

    #[test]
    fn foreign_and_repeated_modifiers_are_named() {
        assert_eq!(
            parse_form("add.global.u32"),
            Err(BadForm::Modifier("global".into()))
        );
        assert_eq!(
            parse_form("add.rn.rz.f32"),
            Err(BadForm::Repeated("rz".into()))
        );
        assert_eq!(parse_form("frob.u32"), Err(BadForm::UnknownOpcode));
        assert_eq!(
            parse_form("bra.maybe"),
            Err(BadForm::Modifier("maybe".into()))
        );
        assert_eq!(parse_form("cvt.u8.u8.u8.u8.u8"), Err(BadForm::TooManyTypes));
    }

    #[test]
    fn every_row_parses_by_each_of_its_spellings() {
        for row in ROWS {
            for text in std::iter::once(&row.text).chain(row.aliases) {
                assert_eq!(instr(text).0, row.op, "{text}");
            }
        }
    }
}
