//! The modules that sequences load.

/// Images by number: the program, another one, and what is no image.
pub(crate) const IMAGES: [&str; 6] = [PROGRAM, OTHER, "", "no image", CUT, LATER];

/// `mix` and `pair` count to `delay` first, so that work is under way while calls are made.
const PROGRAM: &str = r#"
.version 7.5
.target sm_75
.address_size 64

.visible .global .align 4 .u32 counter[4] = {1, 2, 3, 4};

.visible .entry mix(.param .u64 data, .param .u32 n, .param .u32 factor, .param .u32 delay)
{
    .reg .pred %p;
    .reg .b32 %r<10>;
    .reg .b64 %rd<4>;
    ld.param.u64 %rd0, [data];
    ld.param.u32 %r0, [n];
    ld.param.u32 %r1, [factor];
    ld.param.u32 %r8, [delay];
    mov.u32 %r9, 0;
wait:
    add.u32 %r9, %r9, 1;
    setp.lt.u32 %p, %r9, %r8;
    @%p bra wait;
    mov.u32 %r2, %ctaid.x;
    mov.u32 %r3, %ntid.x;
    mov.u32 %r4, %tid.x;
    mad.lo.s32 %r5, %r2, %r3, %r4;
    setp.ge.u32 %p, %r5, %r0;
    @%p bra done;
    mul.wide.u32 %rd1, %r5, 4;
    add.s64 %rd2, %rd0, %rd1;
    ld.global.u32 %r6, [%rd2];
    mul.lo.u32 %r6, %r6, 1664525;
    add.u32 %r6, %r6, %r1;
    st.global.u32 [%rd2], %r6;
done:
    ret;
}

.visible .entry pair(.param .u64 to, .param .u64 from, .param .u32 n, .param .u32 delay)
{
    .reg .pred %p;
    .reg .b32 %r<10>;
    .reg .b64 %rd<6>;
    ld.param.u64 %rd0, [to];
    ld.param.u64 %rd1, [from];
    ld.param.u32 %r0, [n];
    ld.param.u32 %r8, [delay];
    mov.u32 %r9, 0;
wait:
    add.u32 %r9, %r9, 1;
    setp.lt.u32 %p, %r9, %r8;
    @%p bra wait;
    mov.u32 %r2, %ctaid.x;
    mov.u32 %r3, %ntid.x;
    mov.u32 %r4, %tid.x;
    mad.lo.s32 %r5, %r2, %r3, %r4;
    setp.ge.u32 %p, %r5, %r0;
    @%p bra done;
    mul.wide.u32 %rd2, %r5, 4;
    add.s64 %rd3, %rd0, %rd2;
    add.s64 %rd4, %rd1, %rd2;
    ld.global.u32 %r6, [%rd3];
    ld.global.u32 %r7, [%rd4];
    mul.lo.u32 %r6, %r6, 31;
    add.u32 %r6, %r6, %r7;
    st.global.u32 [%rd3], %r6;
done:
    ret;
}

.visible .entry dies()
{
    trap;
}

.visible .entry wild()
{
    .reg .b32 %r0;
    .reg .b64 %rd0;
    mov.u64 %rd0, 64;
    mov.u32 %r0, 1;
    st.global.u32 [%rd0], %r0;
    ret;
}
"#;

const OTHER: &str = r#"
.version 7.5
.target sm_75
.address_size 64

.visible .global .align 8 .u64 total;

.visible .entry mix(.param .u64 data, .param .u32 n, .param .u32 factor, .param .u32 delay)
{
    .reg .pred %p;
    .reg .b32 %r<8>;
    .reg .b64 %rd<4>;
    ld.param.u64 %rd0, [data];
    ld.param.u32 %r0, [n];
    ld.param.u32 %r1, [factor];
    mov.u32 %r2, %ctaid.x;
    mov.u32 %r3, %ntid.x;
    mov.u32 %r4, %tid.x;
    mad.lo.s32 %r5, %r2, %r3, %r4;
    setp.ge.u32 %p, %r5, %r0;
    @%p bra done;
    mul.wide.u32 %rd1, %r5, 4;
    add.s64 %rd2, %rd0, %rd1;
    ld.global.u32 %r6, [%rd2];
    xor.b32 %r6, %r6, %r1;
    add.u32 %r6, %r6, %r5;
    st.global.u32 [%rd2], %r6;
done:
    ret;
}
"#;

/// Ends in the middle of a function.
const CUT: &str = r#"
.version 7.5
.target sm_75
.address_size 64
.visible .entry mix(.param .u64 data)
{
    .reg .b32 %r0;
    mov.u32 %r0,
"#;

/// For a device that is not there.
const LATER: &str = r#"
.version 9.0
.target sm_130
.address_size 64
.visible .entry mix()
{
    ret;
}
"#;
