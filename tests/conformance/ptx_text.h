// PTX text, as a code generator would hand it to the driver.
#pragma once

// axpy: y[i] = a * x[i] + y[i]; a kernel beside it reads and writes a variable of the module.
static const char AXPY_PTX[] = R"(
.version 7.0
.target sm_70
.address_size 64

.visible .global .align 4 .u32 calls = 3;
.visible .const .align 4 .f32 offset = 0f3F000000;

.visible .entry axpy(
    .param .u64 x,
    .param .u64 y,
    .param .f32 a,
    .param .u32 n
)
{
    .reg .pred %p<2>;
    .reg .f32 %f<6>;
    .reg .b32 %r<6>;
    .reg .b64 %rd<8>;

    mov.u32 %r1, %ctaid.x;
    mov.u32 %r2, %ntid.x;
    mov.u32 %r3, %tid.x;
    mad.lo.s32 %r4, %r1, %r2, %r3;
    ld.param.u32 %r5, [n];
    setp.ge.u32 %p1, %r4, %r5;
    @%p1 bra DONE;
    ld.param.u64 %rd1, [x];
    ld.param.u64 %rd2, [y];
    ld.param.f32 %f1, [a];
    cvta.to.global.u64 %rd3, %rd1;
    cvta.to.global.u64 %rd4, %rd2;
    mul.wide.u32 %rd5, %r4, 4;
    add.s64 %rd6, %rd3, %rd5;
    add.s64 %rd7, %rd4, %rd5;
    ld.global.f32 %f2, [%rd6];
    ld.global.f32 %f3, [%rd7];
    fma.rn.f32 %f4, %f1, %f2, %f3;
    ld.const.f32 %f5, [offset];
    add.rn.f32 %f4, %f4, %f5;
    st.global.f32 [%rd7], %f4;
DONE:
    ret;
}

.visible .entry count()
{
    .reg .b32 %r<3>;
    ld.global.u32 %r1, [calls];
    add.u32 %r2, %r1, 1;
    st.global.u32 [calls], %r2;
    ret;
}
)";
