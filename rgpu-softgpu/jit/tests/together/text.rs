//! Kernels as PTX.

use std::fmt::Write as _;

use crate::ast::{
    COUNTERS, Cond, FLOATS, INPUTS, Kernel, LONGS, OUTPUTS, Operand, Special, Statement, WORDS,
};

struct Writer {
    text: String,
    labels: usize,
}

/// The text of a kernel called `k`, with the addresses of input, output and counters as parameters.
pub(crate) fn of(kernel: &Kernel) -> String {
    let mut writer = Writer {
        text: String::new(),
        labels: 0,
    };
    writer.line(
        ".version 8.0\n.target sm_90\n.address_size 64\n\
         .visible .entry k(.param .u64 in, .param .u64 out, .param .u64 counts)\n{\n\
         .shared .align 4 .b8 all[4096];\n\
         .reg .pred %p<4>; .reg .b32 %v<16>, %c<8>, %t<8>; .reg .b64 %w<8>, %a<12>; .reg .f32 %f<8>; .reg .b32 %s<6>;\n\
         mov.u32 %s0, %tid.x; mov.u32 %s1, %tid.y; mov.u32 %s2, %ntid.x; mov.u32 %s3, %ctaid.x;\n\
         mov.u32 %s4, %laneid; mov.u32 %s5, %warpid;\n\
         mov.u32 %t0, %ntid.x; mov.u32 %t1, %ntid.y; mov.u32 %t2, %ntid.z;\n\
         mul.lo.u32 %t2, %t2, %t1; mul.lo.u32 %t2, %t2, %t0;\n\
         mov.u32 %t3, %tid.z; mad.lo.u32 %t3, %t3, %t1, %s1; mad.lo.u32 %t3, %t3, %t0, %s0;\n\
         ld.param.u64 %a0, [in]; ld.param.u64 %a1, [out]; ld.param.u64 %a2, [counts];",
    );
    for n in 0..WORDS {
        writer.line(&format!("add.u32 %v{n}, %t3, {n};"));
    }
    for n in 0..LONGS {
        writer.line(&format!("mov.u64 %w{n}, {n};"));
    }
    let [first, second] = kernel.ramps;
    writer.line(&format!(
        ".reg .b32 %q<9>, %u<2>; add.u32 %u0, %s3, {}; add.u32 %u1, %s3, {second}; add.u32 %q0, %s0, %u0;",
        first.wrapping_sub(7)
    ));
    for n in 0..7 {
        writer.line(&format!("add.u32 %q{}, %q{n}, 1;", n + 1));
    }
    writer.line(&format!(
        "cvt.u64.u32 %w{LONGS}, %q7; add.u32 %q8, %s0, %u1; cvt.u64.u32 %w{}, %q8;",
        LONGS + 1
    ));
    for n in 0..FLOATS {
        writer.line(&format!("mov.f32 %f{n}, 0f3F800000;"));
    }
    writer.list(&kernel.body);
    writer.write_out();
    writer.line("ret;\n}");
    writer.text
}

fn operand(operand: Operand) -> String {
    match operand {
        Operand::Word(n) => format!("%v{n}"),
        Operand::Immediate(value) => value.to_string(),
        Operand::Counter(n) => format!("%c{n}"),
        Operand::Special(special) => match special {
            Special::TidX => "%s0",
            Special::TidY => "%s1",
            Special::NtidX => "%s2",
            Special::CtaidX => "%s3",
            Special::LaneId => "%s4",
            Special::WarpId => "%s5",
        }
        .to_owned(),
    }
}

impl Writer {
    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn list(&mut self, statements: &[Statement]) {
        statements.iter().for_each(|statement| self.one(statement));
    }

    fn label(&mut self) -> String {
        self.labels += 1;
        format!("L{}", self.labels)
    }

    fn cond(&mut self, cond: &Cond) {
        let (left, right) = (operand(cond.left), operand(cond.right));
        // Comparisons take registers and numbers, but as the first only registers.
        self.line(&format!(
            "mov.u32 %t4, {left}; setp.{}.u32 %p0, %t4, {right};",
            cond.op
        ));
    }

    fn write_out(&mut self) {
        self.line(&format!(
            "mov.u32 %t5, %ctaid.x; mad.lo.u32 %t5, %t5, %t2, %t3; mul.wide.u32 %a3, %t5, {};\n\
             add.s64 %a3, %a1, %a3;",
            4 * OUTPUTS
        ));
        let mut at = 0;
        for n in 0..WORDS {
            self.line(&format!("st.global.u32 [%a3+{at}], %v{n};"));
            at += 4;
        }
        for n in 0..LONGS {
            self.line(&format!(
                "cvt.u32.u64 %t6, %w{n}; st.global.u32 [%a3+{at}], %t6;\n\
                 shr.u64 %a4, %w{n}, 32; cvt.u32.u64 %t6, %a4; st.global.u32 [%a3+{}], %t6;",
                at + 4
            ));
            at += 8;
        }
        for n in 0..FLOATS {
            self.line(&format!("st.global.f32 [%a3+{at}], %f{n};"));
            at += 4;
        }
    }

    fn one(&mut self, statement: &Statement) {
        use Statement::*;
        let three = |op: &str, d: &usize, a: &Operand, b: &Operand| {
            format!("{op} %v{d}, {}, {};", operand(*a), operand(*b))
        };
        let sign = |signed: &bool| if *signed { 's' } else { 'u' };
        let line = match statement {
            Add(d, a, b) => three("add.u32", d, a, b),
            Sub(d, a, b) => three("sub.u32", d, a, b),
            Mul(d, a, b) => three("mul.lo.u32", d, a, b),
            Xor(d, a, b) => three("xor.b32", d, a, b),
            MaxSigned(d, a, b) => three("max.s32", d, a, b),
            Shl(d, a, count) => format!("shl.b32 %v{d}, {}, {count};", operand(*a)),
            Select(d, cond, a, b) => {
                self.cond(cond);
                format!("selp.u32 %v{d}, {}, {}, %p0;", operand(*a), operand(*b))
            }
            Wide(d, a, factor, signed) => {
                let factor = if *signed { *factor } else { factor.abs() };
                format!(
                    "mul.wide.{}32 %w{d}, {}, {factor};",
                    sign(signed),
                    operand(*a)
                )
            }
            Widen(d, a, signed) => format!(
                "mov.u32 %t6, {}; cvt.{}64.{}32 %w{d}, %t6;",
                operand(*a),
                sign(signed),
                sign(signed)
            ),
            Move(d, a, distance) => format!("add.s64 %w{d}, %w{a}, {distance};"),
            Narrow(d, a, shift) => {
                format!("shr.u64 %a5, %w{a}, {shift}; cvt.u32.u64 %v{d}, %a5;")
            }
            Convert(d, a) => format!("mov.u32 %t6, {}; cvt.rn.f32.u32 %f{d}, %t6;", operand(*a)),
            Fma(d, a, b, c) => format!("fma.rn.f32 %f{d}, %f{a}, %f{b}, %f{c};"),
            MinFloat(d, a, b) => format!("min.f32 %f{d}, %f{a}, %f{b};"),
            Bits(d, a) => format!("mov.b32 %v{d}, %f{a};"),
            Load(d, a) => format!(
                "mov.u32 %t6, {}; and.b32 %t6, %t6, {}; mul.wide.u32 %a6, %t6, 4; add.s64 %a6, %a0, %a6;\n\
                 ld.global.u32 %v{d}, [%a6];",
                operand(*a),
                INPUTS - 1
            ),
            Count(a, b) => format!(
                "mov.u32 %t6, {}; and.b32 %t6, %t6, {}; mul.wide.u32 %a6, %t6, 4; add.s64 %a6, %a2, %a6;\n\
                 mov.u32 %t7, {}; red.global.add.u32 [%a6], %t7;",
                operand(*a),
                COUNTERS - 1,
                operand(*b)
            ),
            Exchange(d, a, distance) => format!(
                "mov.u32 %t6, all; mad.lo.u32 %t7, %t3, 4, %t6; mov.u32 %t4, {}; st.shared.u32 [%t7], %t4;\n\
                 bar.sync 0;\n\
                 add.u32 %t7, %t3, {distance}; rem.u32 %t7, %t7, %t2; mad.lo.u32 %t7, %t7, 4, %t6;\n\
                 ld.shared.u32 %v{d}, [%t7];\nbar.sync 0;",
                operand(*a)
            ),
            If(cond, yes, no) => return self.branch(cond, yes, no),
            Guarded(cond, statement) => return self.guarded(cond, statement),
            Loop(depth, limit, body) => return self.repeat(*depth, *limit, body),
            Leave(cond) => {
                let label = self.label();
                self.cond(cond);
                self.line(&format!("@!%p0 bra {label};"));
                self.write_out();
                format!("ret;\n{label}:")
            }
        };
        self.line(&line);
    }

    fn branch(&mut self, cond: &Cond, yes: &[Statement], no: &[Statement]) {
        let (other, end) = (self.label(), self.label());
        self.cond(cond);
        self.line(&format!("@!%p0 bra {other};"));
        self.list(yes);
        self.line(&format!("bra {end};\n{other}:"));
        self.list(no);
        self.line(&format!("{end}:"));
    }

    /// The last line of a statement is the one that sets its result.
    fn guarded(&mut self, cond: &Cond, statement: &Statement) {
        let start = self.text.len();
        self.one(statement);
        let lines = self.text.split_off(start);
        let instructions: Vec<&str> = lines.split_inclusive(';').collect();
        // A selection has a predicate of its own.
        let (before, last) = match instructions.iter().rposition(|text| text.trim() != "") {
            Some(at) => instructions.split_at(at),
            None => return,
        };
        before.iter().for_each(|text| self.text.push_str(text));
        let (left, right) = (operand(cond.left), operand(cond.right));
        self.line(&format!(
            "\nmov.u32 %t4, {left}; setp.{}.u32 %p1, %t4, {right};",
            cond.op
        ));
        let _ = write!(self.text, "@%p1 {}", last.concat().trim_start());
    }

    fn repeat(&mut self, depth: usize, limit: Operand, body: &[Statement]) {
        let (again, end) = (self.label(), self.label());
        self.line(&format!(
            "mov.u32 %c{depth}, 0;\n{again}:\n\
             mov.u32 %t4, {}; and.b32 %t4, %t4, 3; setp.ge.u32 %p0, %c{depth}, %t4;\n@%p0 bra {end};",
            operand(limit)
        ));
        self.list(body);
        self.line(&format!(
            "add.u32 %c{depth}, %c{depth}, 1;\nbra {again};\n{end}:"
        ));
    }
}
