// Double precision: exact identities, fused and separate multiply-add, the four roundings, conversions, atomics.
#include "harness.h"

__global__ void arithmetic(double third, double big, double tiny, double *out) {
    int exponent;
    double whole, not_a_number = nan("");
    out[0] = third * 3.0;
    out[1] = __fma_rn(third, 3.0, -1.0);
    out[2] = __dadd_rn(__dmul_rn(third, 3.0), -1.0);
    out[3] = big + 1.0;
    out[4] = tiny / 2.0;
    out[5] = tiny * 3.0;
    out[6] = sqrt(big);
    out[7] = __dadd_ru(third * 3.0, 1e-30);
    out[8] = __dadd_rd(third * 3.0, -1e-30);
    out[9] = __dadd_rz(third * -3.0, 1e-30);
    out[10] = __ddiv_ru(third * 3.0, 3.0) - __ddiv_rd(third * 3.0, 3.0);
    out[11] = __dsqrt_ru(third * 6.0) - __dsqrt_rd(third * 6.0);
    out[12] = fmod(third * 3e17, 7.0);
    out[13] = remainder(10.0, third * 9.0);
    out[14] = rint(third * 7.5) + rint(third * 10.5);
    out[15] = copysign(third * 9.0, -0.0) + trunc(third * -8.1) + ceil(third * 6.3) + floor(third * -6.3) + round(third * 1.5);
    out[16] = fmin(third, not_a_number) + fmax(-third, not_a_number);
    out[17] = frexp(third * 144.0, &exponent);
    out[18] = exponent;
    out[19] = ldexp(third, 10) + logb(third * 3075.0);
    out[20] = modf(third * 11.25, &whole);
    out[21] = whole;
}

__global__ void conversions(double d, double not_a_number, long long *out) {
    out[0] = (int)d;
    out[1] = (long long)(d * 1e9);
    out[2] = __double2int_rn(d);
    out[3] = __double2int_ru(d);
    out[4] = __double2int_rd(d);
    out[5] = (unsigned)(-d);
    // Too large for the type: clamped.
    out[6] = __double2int_rz(d * 1e12);
    out[7] = __double2uint_rz(d);
    out[8] = __double2ll_rz(d * -1e30);
    // Not a number gives the lowest integer.
    out[9] = __double2int_rz(not_a_number);
    out[10] = __double_as_longlong(d);
    out[11] = __double2hiint(d);
    out[12] = __double2loint(d / 3);
    out[13] = __float_as_int(__double2float_rn(d / 3));
    out[14] = __float_as_int(__double2float_ru(d / 3));
    out[15] = __double_as_longlong(__ll2double_rn((1LL << 53) + 3));
    out[16] = __double_as_longlong(__ull2double_rd(~0ULL));
}

__global__ void sums(double *total, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) atomicAdd(total, 1.0 / (1 << (i % 10)));
}

// The trapezoidal rule for pi, one partial sum for each thread, so that the order of the additions is fixed.
__global__ void pi_parts(double *parts, int steps) {
    int t = threadIdx.x;
    double sum = 0, h = 1.0 / steps;
    for (int i = t; i < steps; i += blockDim.x) {
        double x = (i + 0.5) * h;
        sum += 4.0 / (1.0 + x * x);
    }
    parts[t] = sum * h;
}

int main() {
    Device<double> d(22);
    arithmetic<<<1, 1>>>(1.0 / 3.0, 9007199254740992.0, 4.9406564584124654e-324, d);
    for (double v : d.host()) printf("%.17g\n", v);
    Device<long long> c(17);
    conversions<<<1, 1>>>(-123.5, strtod("nan", nullptr), c);
    std::vector<long long> ch = c.host();
    for (long long v : ch) printf("%lld ", v);
    printf("\n");
    Device<double> total(1);
    total.zero();
    sums<<<10, 100>>>(total, 1000);
    printf("atomic sum: %.10g\n", total.host()[0]);
    Device<double> parts(64);
    pi_parts<<<1, 64>>>(parts, 100000);
    double pi = 0;
    for (double v : parts.host()) pi += v;
    printf("pi to 9 digits: %.9f\n", pi);
    MUST(cudaGetLastError());
    return verdict();
}
