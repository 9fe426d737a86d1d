// Half precision: arithmetic with one rounding, pairs, comparisons with NaN, conversions, subnormals and atomics,
// each against the same operation in float rounded once on the host.
// also: compute_80 compute_90
#include "harness.h"

#include <cmath>
#include <cuda_fp16.h>

__global__ void operate(const __half *a, const __half *b, __half *out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    out[i] = __hadd(a[i], b[i]);
    out[n + i] = __hsub(a[i], b[i]);
    out[2 * n + i] = __hmul(a[i], b[i]);
    out[3 * n + i] = __hfma(a[i], b[i], a[i]);
    out[4 * n + i] = __hdiv(a[i], b[i]);
    out[5 * n + i] = __hneg(a[i]);
    out[6 * n + i] = hsqrt(__habs(a[i]));
}

__global__ void pairs(const __half2 *a, const __half2 *b, __half2 *out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    out[i] = __hfma2(a[i], b[i], __halves2half2(__high2half(a[i]), __low2half(b[i])));
}

__global__ void special(unsigned *out) {
    __half nan = __ushort_as_half(0x7e00), one = __float2half(1.0f), inf = __ushort_as_half(0x7c00);
    out[0] = __heq(nan, nan);
    out[1] = __hne(nan, nan);
    out[2] = __hequ(nan, one);
    out[3] = __hlt(one, inf);
    out[4] = __hisnan(nan);
    out[5] = __hisinf(inf);
    out[6] = __half_as_ushort(__float2half(65504.0f));
    out[7] = __half_as_ushort(__float2half(65520.0f));
    out[8] = __half_as_ushort(__float2half_rz(65520.0f));
    out[9] = __half_as_ushort(__float2half_ru(1.0001f));
    out[10] = __half_as_ushort(__float2half(5.9604645e-8f));
    out[11] = __half_as_ushort(__float2half(2.9802322e-8f));
    out[12] = __half2int_rn(__float2half(2.5f)) * 100 + __half2int_rz(__float2half(-7.9f)) + 20;
    out[13] = __half_as_ushort(__int2half_rn(2049));
    out[14] = __half_as_ushort(__hmax(one, __float2half(-3.0f)));
}

__global__ void add_up(__half *total) { atomicAdd(total, __float2half(0.5f)); }
__global__ void add_up2(__half2 *total) { atomicAdd(total, __floats2half2_rn(1.0f, 0.25f)); }

static bool equal(__half got, float want) {
    __half w = __float2half(want);
    if (std::isnan(want)) return std::isnan(__half2float(got));
    return memcmp(&got, &w, 2) == 0;
}

int main() {
    const int n = 4096;
    std::vector<__half> a(n), b(n);
    Random random(99);
    for (int i = 0; i < n; i++) {
        // All exponents, subnormals included, but no NaN and no infinity.
        a[i] = __ushort_as_half(random.next() % 0x7c00 | (random.next() & 0x8000));
        b[i] = __ushort_as_half(random.next() % 0x7c00 | (random.next() & 0x8000));
    }
    Device<__half> da(a), db(b), out(7 * n);
    operate<<<(n + 127) / 128, 128>>>(da, db, out, n);
    MUST(cudaGetLastError());
    std::vector<__half> o = out.host();
    int bad[7] = {};
    double worst_quotient = 0;
    for (int i = 0; i < n; i++) {
        float x = __half2float(a[i]), y = __half2float(b[i]);
        // Sums, differences and products of two halves are exact in double, and the host rounds them once.
        bad[0] += !equal(o[i], (float)((double)x + y));
        bad[1] += !equal(o[n + i], (float)((double)x - y));
        bad[2] += !equal(o[2 * n + i], x * y);
        double f = (double)x * y + x;
        __half fused = __double2half(f);
        bad[3] += memcmp(&o[3 * n + i], &fused, 2) != 0;
        float q = __half2float(o[4 * n + i]), want = x / y;
        if (std::isfinite(want) && std::fabs(want) >= 6.2e-5f && std::fabs(want) < 65504)
            worst_quotient = std::fmax(worst_quotient, std::fabs((double)q - want) / std::fabs(want));
        bad[5] += !equal(o[5 * n + i], -x);
        bad[6] += std::fabs(__half2float(o[6 * n + i]) - std::sqrt(std::fabs(x))) > 0.0005f * std::sqrt(std::fabs(x)) + 6e-8f;
    }
    check(bad[0] == 0, "add");
    check(bad[1] == 0, "subtract");
    check(bad[2] == 0, "multiply");
    check(bad[3] == 0, "fused multiply-add");
    check(worst_quotient < 1.0 / 1024, "divide to one unit in the last place");
    check(bad[5] == 0, "negate");
    check(bad[6] == 0, "square root");

    std::vector<__half2> pa(n / 2), pb(n / 2);
    memcpy(pa.data(), a.data(), n * 2);
    memcpy(pb.data(), b.data(), n * 2);
    Device<__half2> dpa(pa), dpb(pb), pout(n / 2);
    pairs<<<n / 2 / 128, 128>>>(dpa, dpb, pout, n / 2);
    MUST(cudaGetLastError());
    std::vector<__half2> po = pout.host();
    int bad2 = 0;
    for (int i = 0; i < n / 2; i++) {
        double lo = (double)__half2float(a[2 * i]) * __half2float(b[2 * i]) + __half2float(a[2 * i + 1]);
        double hi = (double)__half2float(a[2 * i + 1]) * __half2float(b[2 * i + 1]) + __half2float(b[2 * i]);
        __half want[2] = {__double2half(lo), __double2half(hi)};
        bad2 += memcmp(want, &po[i], 4) != 0;
    }
    check(bad2 == 0, "pairs");

    Device<unsigned> s(15);
    special<<<1, 1>>>(s);
    std::vector<unsigned> h = s.host();
    printf("eq %u ne %u equ %u lt %u isnan %u isinf %u\n", h[0], h[1], h[2], h[3], h[4], h[5]);
    printf("conversions: %04x %04x %04x %04x %04x %04x %u %04x %04x\n", h[6], h[7], h[8], h[9], h[10], h[11], h[12], h[13],
           h[14]);

    Device<__half> total(2);
    total.zero();
    add_up<<<2, 100>>>(total);
    Device<__half2> total2(1);
    total2.zero();
    add_up2<<<1, 64>>>(total2);
    printf("atomic sums: %g, %g and %g\n", __half2float(total.host()[0]), __low2float(total2.host()[0]),
           __high2float(total2.host()[0]));
    MUST(cudaGetLastError());
    return verdict();
}
