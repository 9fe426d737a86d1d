// The mathematical functions, over wide ranges, against a more precise host function: the largest error found must not
// pass the bound that NVIDIA's programming guide states, in units of the last place.
// also: compute_80 compute_90
#include "harness.h"

#include <algorithm>
#include <cmath>
#include <limits>

constexpr int N = 2000;

#define FUNCTIONS_F(DO)                  \
    DO(sqrtf, sqrt, 0, 1e-30, 1e30)          \
    DO(rsqrtf, rsqrt_ref, 2, 1e-30, 1e30) \
    DO(cbrtf, cbrt, 1, -1e9, 1e9)        \
    DO(expf, exp, 2, -80, 80)            \
    DO(exp2f, exp2, 2, -120, 120)        \
    DO(exp10f, exp10_ref, 2, -36, 36)    \
    DO(expm1f, expm1, 1, -20, 20)        \
    DO(logf, log, 1, 1e-30, 1e30)        \
    DO(log2f, log2, 1, 1e-30, 1e30)      \
    DO(log10f, log10, 2, 1e-30, 1e30)    \
    DO(log1pf, log1p, 1, -0.99, 100)     \
    DO(sinf, sin, 2, -1e5, 1e5)          \
    DO(cosf, cos, 2, -1e5, 1e5)          \
    DO(tanf, tan, 4, -1e5, 1e5)          \
    DO(asinf, asin, 2, -1, 1)            \
    DO(acosf, acos, 2, -1, 1)            \
    DO(atanf, atan, 2, -100, 100)        \
    DO(sinhf, sinh, 3, -80, 80)          \
    DO(coshf, cosh, 2, -80, 80)          \
    DO(tanhf, tanh, 2, -10, 10)          \
    DO(asinhf, asinh, 3, -1e5, 1e5)      \
    DO(acoshf, acosh, 4, 1, 1e5)         \
    DO(atanhf, atanh, 3, -0.999, 0.999)  \
    DO(erff, erf, 2, -4, 4)              \
    DO(erfcf, erfc, 4, -4, 9)            \
    DO(lgammaf, lgamma, 6, 3, 1000)      \
    DO(tgammaf, tgamma, 11, 0.1, 30)     \
    DO(sinpif, sinpi_ref, 2, -3, 3)

#define FUNCTIONS_D(DO)                    \
    DO(sqrt, sqrtl, 0, 1e-300, 1e300)    \
    DO(rsqrt, rsqrt_ref, 1, 1e-300, 1e300) \
    DO(cbrt, cbrtl, 1, -1e9, 1e9)          \
    DO(exp, expl, 1, -700, 700)            \
    DO(exp2, exp2l, 1, -1000, 1000)        \
    DO(expm1, expm1l, 1, -30, 30)          \
    DO(log, logl, 1, 1e-300, 1e300)        \
    DO(log2, log2l, 1, 1e-300, 1e300)      \
    DO(log10, log10l, 1, 1e-300, 1e300)    \
    DO(log1p, log1pl, 1, -0.99, 100)       \
    DO(sin, sinl, 2, -1e7, 1e7)            \
    DO(cos, cosl, 2, -1e7, 1e7)            \
    DO(tan, tanl, 2, -1e7, 1e7)            \
    DO(asin, asinl, 2, -1, 1)              \
    DO(acos, acosl, 2, -1, 1)              \
    DO(atan, atanl, 2, -100, 100)          \
    DO(sinh, sinhl, 2, -700, 700)          \
    DO(cosh, coshl, 1, -700, 700)          \
    DO(tanh, tanhl, 1, -20, 20)            \
    DO(asinh, asinhl, 3, -1e9, 1e9)        \
    DO(acosh, acoshl, 3, 1, 1e9)           \
    DO(atanh, atanhl, 2, -0.999, 0.999)    \
    DO(erf, erfl, 2, -5, 5)                \
    DO(erfc, erfcl, 5, -5, 20)             \
    DO(lgamma, lgammal, 4, 3, 1000)        \
    DO(tgamma, tgammal, 10, 0.1, 100)

#define KERNEL_F(name, ...)                                           \
    __global__ void k_##name(const float *x, float *y) {              \
        int i = blockIdx.x * blockDim.x + threadIdx.x;                \
        if (i < N) y[i] = name(x[i]);                                 \
    }
#define KERNEL_D(name, ...)                                           \
    __global__ void kd_##name(const double *x, double *y) {           \
        int i = blockIdx.x * blockDim.x + threadIdx.x;                \
        if (i < N) y[i] = name(x[i]);                                 \
    }
FUNCTIONS_F(KERNEL_F)
FUNCTIONS_D(KERNEL_D)

__global__ void two_arguments(const float *x, const float *y, float *out, const double *xd, const double *yd, double *outd) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= N) return;
    out[i] = powf(fabsf(x[i]), y[i]);
    out[N + i] = atan2f(x[i], y[i]);
    out[2 * N + i] = hypotf(x[i], y[i]);
    out[3 * N + i] = x[i] / y[i];
    out[4 * N + i] = fmaf(x[i], y[i], x[i]);
    out[5 * N + i] = fmodf(x[i], y[i]);
    outd[i] = pow(fabs(xd[i]), yd[i]);
    outd[N + i] = atan2(xd[i], yd[i]);
    outd[2 * N + i] = hypot(xd[i], yd[i]);
    outd[3 * N + i] = xd[i] / yd[i];
    outd[4 * N + i] = fma(xd[i], yd[i], xd[i]);
    outd[5 * N + i] = fmod(xd[i], yd[i]);
}

// The fast intrinsics have bounds of their own.
__global__ void intrinsics(const float *x, float *out) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= N) return;
    out[i] = __sinf(x[i]);
    out[N + i] = __cosf(x[i]);
    out[2 * N + i] = __expf(x[i]);
    out[3 * N + i] = __logf(fabsf(x[i]) + 2);
    out[4 * N + i] = __fdividef(x[i], 3.7f);
    out[5 * N + i] = __frcp_rn(x[i]);
    out[6 * N + i] = __frsqrt_rn(fabsf(x[i]));
}

__global__ void corners(float *out) {
    float inf = INFINITY, not_a_number = NAN;
    float values[] = {sqrtf(-1.0f),        logf(0.0f),           logf(-1.0f),        expf(1000.0f),      expf(-1000.0f),
                      powf(0.0f, 0.0f),    powf(inf, -1.0f),     atan2f(0.0f, -1.0f), fminf(not_a_number, 2.0f),
                      fmaxf(3.0f, not_a_number), 1.0f / inf,     sinf(inf),          tanhf(100.0f),      copysignf(2.0f, -0.0f),
                      rintf(-2.5f),        roundf(-2.5f),        fdimf(5.0f, 7.0f),  nextafterf(1.0f, 2.0f) - 1.0f,
                      ldexpf(1.0f, -149),  cbrtf(-27.0f)};
    for (int i = 0; i < 20; i++) out[i] = values[i];
}

static double rsqrt_ref(double x) { return 1 / sqrt(x); }
static long double rsqrt_ref(long double x) { return 1 / sqrtl(x); }
static double exp10_ref(double x) { return (double)powl(10.0L, x); }
static double sinpi_ref(double x) { return (double)sinl(x * 3.14159265358979323846264338327950288L); }

// The error of `got` as NVIDIA states it: its distance from the correctly rounded result, in units of the last place.
// 0 for infinities and NaN that agree.
template <class T, class Wide>
static double ulps(T got, Wide want) {
    T rounded = (T)want;
    if (std::isnan(rounded)) return std::isnan(got) ? 0 : 1e9;
    if (std::isinf(rounded) || std::isinf(got)) return rounded == got ? 0 : 1e9;
    int e;
    std::frexp(rounded, &e);
    int digits = std::numeric_limits<T>::digits, lowest = std::numeric_limits<T>::min_exponent - digits;
    return (double)(std::fabs((Wide)got - (Wide)rounded) / std::ldexp((Wide)1, std::max(e - digits, lowest)));
}

// Numbers spread over a range; by logarithm where the range is wide and positive.
template <class T>
static std::vector<T> spread(double low, double high, unsigned seed) {
    std::vector<T> x(N);
    Random random(seed);
    for (int i = 0; i < N; i++) {
        double u = random.next() / 4294967295.0;
        x[i] = (T)(low > 0 && high / low > 1e6 ? low * std::pow(high / low, u) : low + (high - low) * u);
    }
    return x;
}

static void report(const char *name, double worst, double bound) {
    bool good = worst <= bound;
    if (!good) printf("%s has an error of %.2f ulp\n", name, worst);
    check(good, "%s within %g ulp", name, bound);
}

int main() {
#define TEST_F(name, reference, bound, low, high)                                               \
    {                                                                                           \
        std::vector<float> x = spread<float>(low, high, 7);                                     \
        Device<float> dx(x), dy(N);                                                             \
        k_##name<<<(N + 127) / 128, 128>>>(dx, dy);                                             \
        MUST(cudaGetLastError());                                                               \
        std::vector<float> y = dy.host();                                                       \
        double worst = 0;                                                                       \
        for (int i = 0; i < N; i++) worst = std::max(worst, ulps(y[i], (double)reference((double)x[i]))); \
        report(#name, worst, bound);                                                            \
    }
    FUNCTIONS_F(TEST_F)
#define TEST_D(name, reference, bound, low, high)                                               \
    {                                                                                           \
        std::vector<double> x = spread<double>(low, high, 11);                                  \
        Device<double> dx(x), dy(N);                                                            \
        kd_##name<<<(N + 127) / 128, 128>>>(dx, dy);                                            \
        MUST(cudaGetLastError());                                                               \
        std::vector<double> y = dy.host();                                                      \
        double worst = 0;                                                                       \
        for (int i = 0; i < N; i++) worst = std::max(worst, ulps(y[i], (long double)reference((long double)x[i]))); \
        report(#name, worst, bound);                                                     \
    }
    FUNCTIONS_D(TEST_D)

    std::vector<float> x = spread<float>(-50, 50, 3), y = spread<float>(-8, 8, 5);
    std::vector<double> xd(x.begin(), x.end()), yd(y.begin(), y.end());
    for (int i = 0; i < N; i++) xd[i] *= 1.0000001, yd[i] *= 0.9999999;
    Device<float> dx(x), dy(y), out(7 * N);
    Device<double> dxd(xd), dyd(yd), outd(6 * N);
    two_arguments<<<(N + 127) / 128, 128>>>(dx, dy, out, dxd, dyd, outd);
    MUST(cudaGetLastError());
    std::vector<float> f = out.host();
    std::vector<double> d = outd.host();
    const char *names[] = {"pow", "atan2", "hypot", "divide", "fma", "fmod"};
    const double bound_f[] = {9, 3, 3, 0, 0, 0}, bound_d[] = {2, 2, 2, 0, 0, 0};
    for (int k = 0; k < 6; k++) {
        double worst = 0, worst_d = 0;
        for (int i = 0; i < N; i++) {
            double a = x[i], b = y[i];
            long double ad = xd[i], bd = yd[i];
            double want[] = {std::pow(std::fabs(a), b), std::atan2(a, b), std::hypot(a, b), a / b, a * b + a, std::fmod(a, b)};
            long double want_d[] = {powl(fabsl(ad), bd), atan2l(ad, bd), hypotl(ad, bd), ad / bd, ad * bd + ad, fmodl(ad, bd)};
            // A fused operation rounds once, which the host must do too: long double is too short for the product.
            if (k == 4) want_d[4] = std::fma(xd[i], yd[i], xd[i]);
            worst = std::max(worst, ulps(f[k * N + i], want[k]));
            worst_d = std::max(worst_d, ulps(d[k * N + i], want_d[k]));
        }
        printf("float ");
        report(names[k], worst, bound_f[k]);
        printf("double ");
        report(names[k], worst_d, bound_d[k]);
    }

    x = spread<float>(-3.14159, 3.14159, 21);
    Device<float> dz(x);
    intrinsics<<<(N + 127) / 128, 128>>>(dz, out);
    MUST(cudaGetLastError());
    f = out.host();
    double sine = 0, cosine = 0, exponential = 0, logarithm = 0, quotient = 0, reciprocal = 0, root = 0;
    for (int i = 0; i < N; i++) {
        double v = x[i];
        sine = std::max(sine, std::fabs(f[i] - std::sin(v)));
        cosine = std::max(cosine, std::fabs(f[N + i] - std::cos(v)));
        exponential = std::max(exponential, ulps(f[2 * N + i], std::exp(v)) - std::floor(std::fabs(1.173 * v)));
        logarithm = std::max(logarithm, ulps(f[3 * N + i], std::log((double)(std::fabs(x[i]) + 2))));
        quotient = std::max(quotient, ulps(f[4 * N + i], v / (double)3.7f));
        reciprocal = std::max(reciprocal, ulps(f[5 * N + i], 1 / v));
        root = std::max(root, ulps(f[6 * N + i], 1 / std::sqrt(std::fabs(v))));
    }
    check(sine <= std::pow(2, -21.41), "__sinf in [-pi, pi]");
    check(cosine <= std::pow(2, -21.19), "__cosf in [-pi, pi]");
    check(exponential <= 2, "__expf");
    check(logarithm <= 3, "__logf");
    check(quotient <= 2, "__fdividef");
    check(reciprocal == 0, "__frcp_rn");
    check(root == 0, "__frsqrt_rn");

    Device<float> c(20);
    corners<<<1, 1>>>(c);
    MUST(cudaGetLastError());
    printf("corners:");
    for (float v : c.host())
        if (std::isnan(v)) printf(" nan");
        else printf(" %g", v);
    printf("\n");
    return verdict();
}
