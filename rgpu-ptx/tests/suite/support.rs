//! Small modules to try statements in, and operands for any instruction.

use rgpu_ptx::{
    Error, Module,
    ast::{Body, Instr, StatementKind},
    instr_table::Opcode,
    rules::{Presence, Rule},
    types::{MulMode, ScalarType, StateSpace, TypeKind},
    validate::validate,
};

/// A kernel with registers of every type around `statements`.
pub(crate) fn wrap(statements: &str) -> String {
    format!(
        ".version 9.0\n.target sm_90\n.address_size 64\n\
         .shared .align 16 .b8 sh[64];\n.global .align 16 .u32 g[16];\n.const .align 16 .u32 c[16];\n\
         .func (.reg .b32 rr) ff(.reg .b32 a, .param .b64 b) {{ mov.b32 rr, a; ret; }}\n\
         .visible .entry k(.param .u64 p, .param .align 16 .b8 q[64]) {{\n\
         .reg .pred %p<9>; .reg .b32 %r<9>; .reg .f32 %f<9>; .reg .u32 %u<9>; .reg .b64 %rd<9>; \
         .reg .f64 %fd<9>; .reg .b16 %h<9>; .reg .f16 %hf<9>; .reg .v4 .f32 %v; .reg .u64 %ud<9>; \
         .reg .b128 %q<9>; .reg .b8 %b<9>; .local .align 16 .b8 lo[64]; .param .align 16 .b8 pa[64];\n\
         {statements}\nret;\n}}\n"
    )
}

/// Parses and validates the kernel of a module.
pub(crate) fn check(text: &str) -> Result<(Module, Body), Error> {
    let module = Module::parse(text)?;
    let kernel = module.kernel("k").expect("the kernel is there");
    let body = kernel.parse_body(&module)?;
    validate(&module, kernel, &body)?;
    Ok((module, body))
}

/// The only statement before `ret`, without validation.
pub(crate) fn parse_one(word: &str) -> Result<StatementKind, Error> {
    let module = Module::parse(wrap(&format!("{word};")))?;
    let kernel = module.kernel("k").expect("the kernel is there");
    let mut body = kernel.parse_body(&module)?;
    Ok(body.statements.swap_remove(0).kind)
}

/// A register that holds a type.
fn reg(ty: ScalarType, n: usize) -> String {
    let name = match ty.bits() {
        1 => "%p",
        8 => "%b",
        16 => "%h",
        32 => "%r",
        64 => "%rd",
        _ => "%q",
    };
    format!("{name}{n}")
}

fn address(space: Option<StateSpace>) -> &'static str {
    match space {
        Some(StateSpace::Param) => "[pa]",
        Some(StateSpace::Const) => "[c+16]",
        Some(StateSpace::Shared | StateSpace::SharedCluster) => "[%r8+16]",
        Some(StateSpace::Local) => "[lo]",
        _ => "[%rd8+-16]",
    }
}

/// Text of the operands that the rules of `instr` ask for; optional ones only if `all`.
pub(crate) fn operands(instr: &Instr, all: bool) -> String {
    let rules = instr.op.row().operands;
    let here = |rule: &&Rule| match rule.presence(instr) {
        Presence::Needed => true,
        Presence::Free => all,
        Presence::Absent => false,
    };
    let list: Vec<String> = rules
        .iter()
        .filter(here)
        .enumerate()
        .map(|(n, rule)| operand(instr, *rule, n))
        .collect();
    list.join(", ")
}

fn operand(instr: &Instr, rule: Rule, n: usize) -> String {
    let m = &instr.mods;
    let ty = |i: usize| m.types.get(i).copied().unwrap_or(ScalarType::B32);
    let wide = |ty: ScalarType| match m.mul {
        Some(MulMode::Wide) => ty.widened().unwrap_or(ty),
        _ => ty,
    };
    let vector = |ty| {
        let Some(width) = m.vec else {
            return reg(ty, n);
        };
        let list: Vec<String> = (0..width.lanes()).map(|i| reg(ty, i)).collect();
        format!("{{{}}}", list.join(", "))
    };
    match rule {
        Rule::D0 | Rule::DWide0 | Rule::S0 | Rule::OptS0 | Rule::SAddr0 => reg(ty(0), n),
        Rule::DWide | Rule::SWide => reg(wide(ty(0)), n),
        Rule::S1 | Rule::OptS1 | Rule::SWide1 => reg(ty(1), n),
        Rule::DU32 | Rule::SU32 | Rule::OptSU32 | Rule::OptRandom => reg(ScalarType::B32, n),
        Rule::DPred | Rule::SPred | Rule::OptPred => format!("%p{n}"),
        Rule::DPredPair => format!("%p{n}|%p8"),
        Rule::D0Pair => format!("{}|%p8", reg(ty(0), n)),
        Rule::DU32Pair => format!("%r{n}|%p8"),
        Rule::DMov | Rule::SMov | Rule::DVec0 | Rule::DVec0Sink | Rule::SVec0 => vector(ty(0)),
        Rule::OptD0Sink => reg(ty(0), n),
        Rule::SLast => reg(ty(m.types.len().saturating_sub(1)), n),
        Rule::DPart | Rule::SPart | Rule::SPartNeg => format!("%r{n}"),
        Rule::OptSF32 => "0f3F800000".to_owned(),
        Rule::OptSrcSize => "4".to_owned(),
        Rule::SPtr => "%rd1".to_owned(),
        Rule::SAny => "%rd2".to_owned(),
        Rule::ImmInt | Rule::OptImmInt => "16".to_owned(),
        Rule::Addr if instr.op == Opcode::CpAsync && n == 1 => "[%rd8]".to_owned(),
        Rule::Addr => address(m.space).to_owned(),
        Rule::OptPolicy => "%rd7".to_owned(),
    }
}

/// Is a type one whose constants are integers?
pub(crate) fn whole(ty: ScalarType) -> bool {
    matches!(
        ty.kind(),
        TypeKind::Bits | TypeKind::Unsigned | TypeKind::Signed
    )
}
