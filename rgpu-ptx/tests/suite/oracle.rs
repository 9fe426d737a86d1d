//! Statements that ptxas 13.0 accepts for sm_90, and some that it rejects.

use crate::support::{check, wrap};

const ACCEPTED: &[&str] = &[
    "mov.pred %p1, 1;",
    "add.f32 %f1, %f2, 1.5;",
    "add.f32 %f1, %f2, 0d3FF0000000000000;",
    "add.f64 %fd1, %fd2, 0f3f800000;",
    "and.pred %p1, %p2, !%p3;",
    "selp.u32 %r1, %r2, %r3, !%p1;",
    "setp.eq.u32 %p1, %r1, %r2; setp.eq.and.u32 %p1|%p2, %r1, %r2, !%p3; setp.eq.u32 _|%p2, %r1, %r2;",
    "ld.u32 %r1, [sh]; ld.u32 %r1, [g+4]; ld.shared.u32 %r1, [%r2]; ld.shared.u32 %r1, [%rd2];",
    "mov.b32 %f1, %r1; mov.b32 %r1, 0f3f800000; mov.b64 %rd1, 0d3ff0000000000000; and.b32 %r1, %r2, 0f3f800000;",
    "ld.f32 %r1, [%rd1]; ld.f32 %rd1, [%rd1]; ld.global.u32 %r1, g[1];",
    "ld.u16 %r1, [%rd1]; ld.b16 %r1, [%rd1]; ld.u8 %h1,[%rd1]; ld.u8 %rd1, [%rd2];",
    "add.f16 %h1, %h2, %h3; cvt.f32.f16 %f1, %r1;",
    "cvt.u32.u8 %r1, %h1; cvt.u8.u32 %h1, %r1; cvt.u16.u32 %r1, %r2; cvt.rn.f32.u8 %f1, %r1; cvt.u64.u32 %rd1, %tid.x;",
    "mov.v4.f32 %v, {%f1,%f2,%f3,%f4}; mov.f32 %f1, %v.x; st.global.v4.f32 [%rd1], %v;",
    "st.global.v4.f32 [%rd1], {%f1, 0f00000000, %f2, 1.0}; ld.global.v4.f32 {%f1, _, _, %f2}, [%rd1];",
    "mov.b64 {%r1, _}, %rd1; mov.b64 %rd1, {%r1, 5};",
    "mov.b32 %r1, {%h1, %h2}; mov.b64 %rd1, {%h1,%h2,%h3,%h4}; mov.b128 %q1, {%rd1,%rd2};",
    "mov.u64 %rd1, g+4; mov.u32 %r1, sh; mov.u64 %rd2, q+3; mov.b64 %rd1, k;",
    "setp.lo.u32 %p1, %r1, %r2; atom.add.u32 _, [%rd2], 1; shfl.sync.down.b32 %f1, %f2, 1, 31, -1;",
    "mov.u16 %h1, %tid.x; mov.u32 %r1, %gridid; mov.v4.u32 {%r1,%r2,%r3,%r4}, %tid;",
    "mul.lo.u64 %ud1, %ud2, 3; shl.b64 %rd1, %ud1, 3; xor.b32 %f1, %f2, %r1;",
    "selp.b32 %f1, %f2, %r3, %p1; selp.f32 %r1, %f2, %f3, %p1;",
    "bra L; L: bra.uni L;",
    "ld.param.u32 %r1, [q+4]; ld.param.v4.u32 {%r1,%r2,%r3,%r4}, [q]; ld.param.u32 %r1, [%rd1];",
    "not.pred %p1, %p2; xor.pred %p1, %p2, 1; vote.ballot.sync.b32 %r1, 1, -1; vote.sync.any.pred %p1, !%p2, -1;",
    "bar.red.popc.u32 %r1, 0, %r2, !%p1; bar.red.and.pred %p1, 0, %p2;",
    "{ .reg .pred %q; setp.ne.u32 %q, %r1, 0; @%q bra X; X: } { X: }",
    "add .u32 %r1, %r2, 3; .reg .b32 a, b; add.u32 a, b, 3;",
    "mul.wide.u32 %rd1, %r1, 8; mad.wide.s32 %rd1, %r1, 8, %rd2; setp.eq.f32 %p1, %r1, 0f00000000;",
    "lop3.b32 %r1, %r2, %r3, 7, 0xE8; lop3.or.b32 %r1|%p1, %r2,%r3,%r4,0x11,%p2; lop3.or.b32 _|%p1, %r2,%r3,%r4,0x11,!%p2;",
    "add.cc.u32 %r1,%r2,%r3; addc.u64 %rd1,%rd2,%rd3; mad.lo.cc.u64 %rd1,%rd2,%rd3,%rd3; madc.hi.u64 %rd1,%rd2,%rd3,%rd4;",
    "prefetch.global.L2 [%rd1]; prefetchu.L1 [%rd1]; prefetch.L1 [%rd1]; discard.global.L2 [%rd1], 128;",
    "applypriority.global.L2::evict_normal [%rd1], 128; createpolicy.fractional.L2::evict_last.L2::evict_unchanged.b64 %rd1;",
    "cvt.rn.bf16x2.f32 %r1, %f1, %f2; cvt.rn.relu.f16x2.f32 %r1, %f1, %f2; cvt.rn.satfinite.e4m3x2.f32 %h1, %f1, %f2;",
    "cvt.rn.f16x2.e4m3x2 %r1, %h1; cvt.rna.tf32.f32 %r1, %f1; cvt.rn.tf32.f32 %r1, %f1;",
    "cvt.pack.sat.u8.s32.b32 %r1,%r2,%r3,%r4; cvt.pack.sat.s16.s32 %r1,%r2,%r3;",
    "add.bf16 %h1,%h2,%h3; mul.rn.bf16x2 %r1,%r2,%r3; fma.rn.relu.bf16x2 %r1,%r2,%r3,%r4; neg.f16x2 %r1,%r2;",
    "tanh.approx.f16x2 %r1,%r2; ex2.approx.ftz.bf16 %h1,%h2; max.NaN.xorsign.abs.f32 %f1,%f2,%f3; abs.bf16 %h1,%h2;",
    "setp.lt.and.f16x2 %p1|%p2, %r1, %r2, %p3; set.lt.u32.f32 %r1,%f1,%f2; set.gt.or.f32.s32 %f1,%r1,%r2,!%p1;",
    "isspacep.global %p1, %rd1; cvta.shared.u64 %rd1, %rd2; cvta.global.u64 %rd1, g; cvta.param.u64 %rd1, q;",
    "call (%r1), ff, (%r2, %rd1); call (%r1), ff, (5, 7);",
    "{.param .b64 x; st.param.b64 [x], %rd1; call (%r1), ff, (%r2, x);}",
    "shl.b64 %rd1, %rd2, %r1; shl.b16 %h1, %h2, %r1; bfe.u64 %rd1, %rd2, %r1, %r2; bfi.b64 %rd1,%rd1,%rd1,3,%r2;",
    "popc.b64 %r1, %rd1; clz.b64 %r1,%rd1; bfind.u64 %r1,%rd1; brev.b64 %rd1,%rd2; sad.u16 %h1,%h2,%h3,%h4;",
    "slct.f32.s32 %f1,%f2,%f3,%r1; slct.u64.f32 %rd1,%rd2,%rd3,%f1; cnot.b64 %rd1,%rd2;",
    "add.sat.s32 %r1,%r2,%r3; mad.hi.sat.s32 %r1,%r2,%r3,%r4; cvt.sat.u8.s32 %r1, %r2;",
    "elect.sync %r1|%p1, -1; elect.sync _|%p1, -1; match.all.sync.b32 %r1|%p1, %r2, -1; match.any.sync.b64 %r1, %rd2, -1;",
    "mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%r1], 2; mbarrier.arrive.shared.b64 %rd1, [%r1];",
    "mbarrier.test_wait.shared.b64 %p1, [%r1], %rd1; mbarrier.try_wait.parity.shared::cta.b64 %p1, [%r1], %r2, %r3;",
    "mbarrier.test_wait.parity.shared.b64 %p1,[%r1],1;",
    "fence.proxy.async; fence.proxy.async.shared::cta; fence.mbarrier_init.release.cluster; membar.proxy.alias; fence.acquire.cluster;",
    "stacksave.u64 %rd1; alloca.u64 %rd1, 16; alloca.u64 %rd1, %rd2, 8; stackrestore.u64 %rd1;",
    "vadd4.u32.u32.u32.sat %r1.b31, %r2.b7654, %r3.b3210, %r4; vset.u32.s32.lt.add %r1, %r2.h1, %r3.b0, %r4;",
    "vshl.u32.u32.u32.clamp.min %r1, %r2,%r3.b0,%r4; vadd.u32.u32.u32 %r1.h0, %r2,%r3.b0,%r4; vadd.s32.s32.s32 %r1,%r2,%r3;",
    "testp.normal.f32 %p1, %f1; copysign.f64 %fd1,%fd2,%fd3; fns.b32 %r1,%r2,%r3,%r4; dp2a.lo.u32.s32 %r1,%r2,%r3,%r4;",
    "mov.pred %p1, %is_explicit_cluster; mov.u64 %rd1, %current_graph_exec; mov.u32 %r1, %pm3; mov.u64 %rd1, %pm3_64;",
    "redux.sync.or.b32 %r1,%r2,-1; activemask.b32 %r1; nanosleep.u32 %r1; pmevent 3; pmevent.mask 3;",
    "cp.async.ca.shared.global [%r1], [%rd1], 4; cp.async.cg.shared.global.L2::128B [%r1],[%rd1],16,%r2;",
    "cp.async.ca.shared.global.L2::cache_hint [%r1],[%rd1],8,4,%rd2; cp.async.ca.shared::cta.global [%r1],[%rd1],8,%p1;",
    "ld.global.L1::evict_last.L2::128B.v4.f32 {%f1,%f2,%f3,%f4},[%rd1]; ld.global.nc.L1::no_allocate.L2::cache_hint.u32 %r1,[%rd1],%rd2;",
    "red.relaxed.gpu.global.add.noftz.f16x2 [%rd1], %r1; red.global.v2.f32.add [%rd1], {%f1,%f2};",
    "atom.global.v4.bf16x2.add.noftz {%r1,%r2,%r3,%r4},[%rd1],{%r1,%r2,%r3,%r4}; atom.global.add.L2::cache_hint.u32 %r1,[%rd1],%r2,%rd3;",
    "st.mmio.relaxed.sys.global.u32 [%rd1], %r1; ld.weak.global.ca.u32 %r1,[%rd1];",
    "L0: .branchtargets A, B; brx.idx %r1, L0; A: B: brx.idx.uni %r1, L0;",
    "vmad.s32.s32.u32.sat %r1,%r2,%r3,-%r4; vmad.u32.u32.u32.shr15 %r1,%r2.h0,%r3.h0,%r4; vmad.s32.u32.u32 %r1,-%r2.b1,%r3,%r4;",
    "vmad.u32.u32.u32.po.sat.shr7 %r1,%r2,%r3.b3,%r4; cvt.pack.sat.u4.s32.b32 %r1,%r2,%r3,%r4; cvt.pack.sat.s2.s32.b32 %r1,%r2,%r3,%r4;",
    "set.lt.bf16.f16 %h1,%h2,%h3; fma.rn.oob.relu.f16x2 %r1,%r2,%r3,%r4;",
    "prmt.b32.f4e %r1,%r2,%r3,%r4; shf.l.clamp.b32 %r1,%r2,%r3,5; griddepcontrol.wait;",
    "bar.sync %r1, %r2; bar.arrive 1, 64; barrier.cta.red.or.pred %p1, 1, 64, %p2; barrier.cluster.arrive.relaxed.aligned;",
    "PROTO: .callprototype (.param .b32 _) _ (.param .b64 _); { .param .b32 o; .param .b64 i; call (o), %rd1, (i), PROTO; }",
];

/// Each must be refused with a message that names the statement.
const REJECTED: &[&str] = &[
    "mov.f32 %f1, 0;",
    "add.f32 %f1, %f2, 1;",
    "add.u32 %r1, %tid.x, 1;",
    "mov.u32 %f1, %r1;",
    "add.u32 %r1, %f1, 2;",
    "ld.u32 %f1, [%rd1];",
    "ld.f32 %u1, [%rd1];",
    "ld.f32 %fd1, [%rd1];",
    "add.u16 %hf1, %h2, %h3;",
    "add.f16x2 %r1, %u2, %r3;",
    "add.f16x2 %r1, %f2, %r3;",
    "add.u64 %rd1, %rd2, g;",
    "setp.lt.b32 %p1, %r1, %r2;",
    "setp.lo.s32 %p1, %r1, %r2;",
    "atom.add.s64 %rd1, [%rd2], %rd3;",
    "atom.exch.u32 %r1, [%rd2], %r3;",
    "atom.and.u32 %r1, [%rd2], %r3;",
    "shfl.sync.down.u32 %r1, %r2, 1, 31, -1;",
    "mul.u32 %r1, %r2, %r3;",
    "fma.f32 %f1,%f2,%f3,%f4;",
    "div.f32 %f1,%f2,%f3;",
    "sqrt.f32 %f1,%f2;",
    "mov.b16 %h1, 1.0;",
    "st.shared.u32 [sh+4], %f1;",
    "st.global.u32 [%rd1], %tid.x;",
    "mov.b32 %r1, 1.5;",
    "mov.b64 %rd1, 0f3f800000;",
    "mov.u32 %r1, 0f3f800000;",
    "add.f16 %h1, %h2, 0x3c00;",
    "st.param.u32 [p], 5;",
    "shl.b32 %r1, %r2, %rd1;",
    "set.eq.b32.u32 %r1,%r2,%r3;",
    "cvt.u32.b32 %r1, %r2;",
    "vmad.u32.u32.u32.po %r1, -%r2, %r3, %r4;",
    "vmad.u32.u32.u32 %r1, -%r2, %r3, -%r4;",
    "vadd.u32.u32.u32 %r1, -%r2, %r3;",
    "add.u32 %r1, -%r2, %r3;",
    "cvt.f32.s32 %f1, %r2;",
    "cvt.rn.s32.f32 %r1, %f2;",
    "cvt.rn.s32.s16 %r1, %h2;",
    "cvt.f32.f64 %f1, %fd2;",
    "cvt.rn.f64.f32 %fd1, %f2;",
    "set.eq.u16.u32 %h1, %r1, %r2;",
    "div.rn.u32 %r1, %r2, %r3;",
    "mad.rn.f16 %h0, %h1, %h2, %h3;",
    "add.sat.u32 %r1,%r2,%r3;",
    "ld.sc.gpu.u32 %r1,[%rd1];",
    "ld.global.u32 %r1, [sh];",
    "bra NOWHERE;",
    "add.u32 %r1, %r99, 2;",
    "frobnicate.u32 %r1, %r2;",
    "add.u32 %r1 %r2;",
    "call (%r1), ff, (%r2);",
    "call k, (%rd1);",
    "@%r1 add.u32 %r1, %r2, 3;",
];

#[test]
fn what_ptxas_accepts_is_valid() {
    let bad: Vec<String> = ACCEPTED
        .iter()
        .filter_map(|s| check(&wrap(s)).err())
        .map(|e| e.to_string())
        .collect();
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}

#[test]
fn what_ptxas_rejects_is_refused_with_its_place() {
    for statement in REJECTED {
        let error = check(&wrap(statement)).map(|_| ()).expect_err(statement);
        assert_eq!(error.line, 10, "{error}");
        assert_eq!(error.function.as_deref(), Some("k"), "{error}");
        let opcode = statement.split([' ', '.']).next().unwrap();
        assert!(error.text.contains(opcode), "{error}");
    }
}
