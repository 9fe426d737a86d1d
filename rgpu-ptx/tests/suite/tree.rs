//! What the tree says about a module: layouts, initial values, resolved names.

use rgpu_ptx::{
    Module,
    ast::{
        AddrBase, Address, CallArg, CallTarget, FunctionKind, Imm, Linkage, Operand, Reg,
        RelocTarget, StatementKind, Symbol,
    },
    types::{ScalarType, StateSpace},
};

use crate::{
    corpus::files,
    support::{check, wrap},
};

fn corpus(name: &str) -> Module {
    let (_, text) = files()
        .into_iter()
        .find(|(path, _)| path.ends_with(name))
        .unwrap();
    Module::parse(text).unwrap()
}

#[test]
fn kernel_parameters_have_the_layout_of_the_abi() {
    let text = ".version 8.0\n.target sm_80\n.address_size 64\n\
        .visible .entry k(.param .u8 a, .param .u64 .ptr .global .align 16 b, .param .align 16 .b8 c[20], .param .v2 .f32 d,\n\
        .param .u16 e) .maxntid 64, 2 .minnctapersm 3 { ret; }";
    let module = Module::parse(text).unwrap();
    let kernel = module.kernel("k").unwrap();
    let layout: Vec<(u64, u64, u32)> = kernel
        .params
        .iter()
        .map(|p| (p.offset, p.size, p.align))
        .collect();
    assert_eq!(
        layout,
        [(0, 1, 1), (8, 8, 8), (16, 20, 16), (40, 8, 8), (48, 2, 2)]
    );
    assert_eq!(kernel.params_size(), 50);
    let pointer = kernel.params[1].pointer.unwrap();
    assert_eq!(
        (pointer.space, pointer.align),
        (Some(StateSpace::Global), 16)
    );
    assert_eq!(kernel.directives.maxntid, Some([64, 2, 1]));
    assert_eq!(kernel.directives.minnctapersm, Some(3));
    assert_eq!(kernel.linkage, Linkage::Visible);
}

#[test]
fn initial_values_and_addresses() {
    let module = corpus("legacy.ptx");
    let bytes = |name: &str| {
        module
            .variable(name)
            .unwrap()
            .init
            .as_ref()
            .unwrap()
            .bytes
            .clone()
    };
    let floats: Vec<u8> = [1.0f32, 2.0, 3.5, 0.0]
        .iter()
        .flat_map(|f| f.to_le_bytes())
        .collect();
    assert_eq!(bytes("weights"), floats);
    let words: Vec<u8> = [1u32, 14, 16, 15, 3, u32::MAX]
        .iter()
        .flat_map(|w| w.to_le_bytes())
        .collect();
    assert_eq!(bytes("counts"), words);
    assert_eq!(module.variable("counts").unwrap().dims, [6]);
    assert_eq!(module.variable("counts").unwrap().size, 24);
    assert_eq!(bytes("quad").len(), 16);
    assert_eq!(bytes("scale"), 1f64.to_le_bytes());
    assert_eq!(bytes("a"), (-5i16).to_le_bytes());
    assert_eq!(module.variable("weights").unwrap().size, 24);
    assert!(module.variable("dynamic").unwrap().is_unsized());

    let counts = RelocTarget::Variable(
        module
            .variables
            .iter()
            .position(|v| v.name == "counts")
            .map(|i| rgpu_ptx::ast::VarId(i as u32))
            .unwrap(),
    );
    let pointers = &module
        .variable("pointers")
        .unwrap()
        .init
        .as_ref()
        .unwrap()
        .relocs;
    let facts: Vec<(u64, u8, i64, bool)> = pointers
        .iter()
        .map(|r| (r.offset, r.width, r.addend, r.generic))
        .collect();
    assert_eq!(
        facts,
        [(0, 8, 0, false), (8, 8, 4, false), (16, 8, 0, true)]
    );
    let pieces = &module
        .variable("pieces")
        .unwrap()
        .init
        .as_ref()
        .unwrap()
        .relocs;
    let facts: Vec<(u64, u8, i64, u8)> = pieces
        .iter()
        .map(|r| (r.offset, r.width, r.addend, r.shift))
        .collect();
    assert_eq!(facts, [(0, 1, 0, 0), (1, 1, 0, 8), (2, 1, 4, 16)]);
    assert!(pieces.iter().all(|r| r.target == counts));
    assert_eq!(bytes("pieces"), [0, 0, 0, 7, 8]);
}

#[test]
fn tables_of_functions_point_to_functions() {
    let module = corpus("language.sm_80.ptx");
    let table = module.variable("table").unwrap();
    let targets: Vec<&str> = table
        .init
        .as_ref()
        .unwrap()
        .relocs
        .iter()
        .map(|r| match r.target {
            RelocTarget::Function(id) => module.functions[id.index()].name.as_str(),
            RelocTarget::Variable(_) => "variable",
        })
        .collect();
    assert_eq!(targets, ["_Z2f1i", "_Z2f2i"]);
    assert!(module.variable("managed_counter").unwrap().managed);
    let vprintf = module.function("vprintf").unwrap();
    assert!(
        vprintf.body.is_none()
            && vprintf.kind == FunctionKind::Func
            && vprintf.linkage == Linkage::Extern
    );
    assert_eq!(vprintf.returns.len(), 1);
    // Declared first, defined later: one function.
    assert!(module.function("_Z2f1i").unwrap().body.is_some());
}

#[test]
fn inner_scopes_shadow_registers_and_labels() {
    let text = "L: mov.u32 %r1, 1; { .reg .u32 %r1; mov.u32 %r1, 2; bra L; L: } mov.u32 %r1, 3; bra L; @%p1 bra M; { bra M; } M:";
    let (_, body) = check(&wrap(text)).unwrap();
    let moved: Vec<Reg> = body
        .statements
        .iter()
        .filter_map(|s| match &s.kind {
            StatementKind::Instr(i) if i.operands.len() == 2 => match i.operands[0] {
                Operand::Reg(reg) => Some(reg),
                _ => None,
            },
            _ => None,
        })
        .collect();
    assert_eq!(moved[0], moved[2]);
    assert_ne!(moved[0], moved[1]);
    assert_eq!(body.reg_name(moved[0]), "%r1");
    let targets: Vec<u32> = body
        .statements
        .iter()
        .filter_map(|s| match s.kind {
            StatementKind::Branch { target, .. } => Some(body.labels[target.index()].statement),
            _ => None,
        })
        .collect();
    // The inner label, the outer one, and twice the last.
    assert_eq!(targets.len(), 4);
    assert!(targets[0] > 0 && targets[1] == 0 && targets[2] == targets[3]);
    for label in &body.labels {
        assert!(matches!(
            body.statements[label.statement as usize].kind,
            StatementKind::Label(_)
        ));
    }
}

#[test]
fn vector_registers_are_spread() {
    let (_, body) = check(&wrap("mov.f32 %f1, %v.z; st.global.v4.f32 [%rd1+16], %v;")).unwrap();
    let StatementKind::Instr(mov) = &body.statements[0].kind else {
        panic!()
    };
    let StatementKind::Instr(st) = &body.statements[1].kind else {
        panic!()
    };
    let Operand::Vec(list) = &st.operands[1] else {
        panic!()
    };
    assert_eq!(list.len(), 4);
    assert_eq!(mov.operands[1], list[2]);
    let Operand::Addr(Address {
        base: AddrBase::Reg(_),
        offset: 16,
    }) = st.operands[0]
    else {
        panic!()
    };
}

#[test]
fn calls_are_resolved() {
    let text = "P: .callprototype (.param .b32 _) _ (.param .b64 _); { .param .b32 o; .param .b64 i; call.uni (o), %rd1, (i), P; } \
                call (%r1), ff, (5, %rd2); T: .calltargets ff; call (%r1), %rd1, (%r2, %rd2), T;";
    let (module, body) = check(&wrap(text)).unwrap();
    let calls: Vec<_> = body
        .statements
        .iter()
        .filter_map(|s| match &s.kind {
            StatementKind::Call(call) => Some(call),
            _ => None,
        })
        .collect();
    let ff = module.function_id("ff").unwrap();
    assert!(matches!(calls[0].target, CallTarget::Indirect { .. }) && calls[0].uniform);
    assert!(matches!(
        calls[0].args[..],
        [CallArg::Param(Symbol::Local(_))]
    ));
    assert_eq!(calls[1].target, CallTarget::Direct(ff));
    assert_eq!(calls[1].args[0], CallArg::Imm(Imm::Int(5)));
    assert!(matches!(&calls[2].target, CallTarget::OneOf { targets, .. } if targets[..] == [ff]));
}

#[test]
fn immediates_become_bits_of_their_type() {
    assert_eq!(Imm::Int(-1).bits_as(ScalarType::U16), 0xffff);
    assert_eq!(Imm::Int(-1).bits_as(ScalarType::B64), u64::MAX);
    assert_eq!(Imm::Int(2).bits_as(ScalarType::Pred), 1);
    assert_eq!(
        Imm::F64(1.5f64.to_bits()).bits_as(ScalarType::F32),
        u64::from(1.5f32.to_bits())
    );
    assert_eq!(
        Imm::F32(1.5f32.to_bits()).bits_as(ScalarType::F64),
        1.5f64.to_bits()
    );
    assert_eq!(Imm::F32(7).bits_as(ScalarType::B32), 7);
}

#[test]
fn module_errors_say_where() {
    let cases = [
        (".target sm_80", "PTX line 1:14"),
        (
            ".version 8.0\n.global .u32 x = y;",
            "PTX line 2:18: `y` is not declared",
        ),
        (".version 8.0\n.entry k() {", "this brace is never closed"),
        (
            ".version 8.0\n.func f();\n.func f() { ret; }\n.func f() { ret; }",
            "defined twice",
        ),
        (".version 8.0\n.wobble x;", "unknown directive `.wobble`"),
        (
            ".version 8.0\n.global .align 3 .u32 x;",
            "not a power of two",
        ),
        (
            ".version 8.0\n.global .u32 x[2] = {1,2,3};",
            "too many values",
        ),
    ];
    for (text, wanted) in cases {
        let error = Module::parse(text).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    }
    assert_eq!(
        Module::parse(".version 8.10 .target sm_90a, debug")
            .unwrap()
            .version,
        (8, 10)
    );
}

#[test]
fn a_driver_text_may_end_with_nul() {
    let module =
        Module::parse_bytes(b".version 8.0\n.target sm_80\n.entry k() { ret; }\0\0garbage")
            .unwrap();
    assert!(module.kernel("k").is_some());
    assert_eq!(module.line_column(module.functions[0].span), (3, 1));
}
