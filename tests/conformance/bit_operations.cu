// Integer and bit intrinsics against plain host code: counts, reversals, permutations, funnel shifts, wide products,
// SIMD within a word, and 64-bit arithmetic with carries.
// also: compute_80 compute_90
#include "harness.h"

#include <algorithm>

constexpr int OPS = 28, N = 512;

__global__ void run(const unsigned *a, const unsigned *b, const unsigned *c, unsigned *out) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= N) return;
    unsigned x = a[i], y = b[i], z = c[i];
    unsigned long long xy = (unsigned long long)x << 32 | y, zx = (unsigned long long)z << 32 | x;
    unsigned r[OPS] = {
        (unsigned)__popc(x),
        (unsigned)__clz(x >> (y % 32)),
        (unsigned)__ffs(x << (y % 32)),
        __brev(x),
        __byte_perm(x, y, z & 0x7777),
        __funnelshift_l(x, y, z),
        __funnelshift_rc(x, y, z % 50),
        __umulhi(x, y),
        (unsigned)__mulhi((int)x, (int)y),
        (unsigned)__mul24((int)x, (int)y),
        __umul24(x, y),
        __usad(x, y, z),
        (unsigned)__sad((int)x, (int)y, z),
        __uhadd(x, y),
        (unsigned)__rhadd((int)x, (int)y),
        (unsigned)__dp4a((int)x, (int)y, (int)z),
        __vadd4(x, y),
        __vabsdiffu4(x, y),
        __vmaxs2(x, y),
        __vcmpgtu4(x, y),
        (unsigned)__popcll(xy),
        (unsigned)__clzll(xy >> (z % 64)),
        (unsigned)(__brevll(xy) >> 7),
        (unsigned)(__umul64hi(xy, zx) ^ __umul64hi(xy, zx) >> 32),
        (unsigned)(xy / (zx >> 20 | 1)) + (unsigned)(xy % (zx >> 20 | 1)),
        (unsigned)((long long)xy / ((long long)zx >> 20 | 1)) + (unsigned)((long long)xy % ((long long)zx >> 20 | 1)),
        (unsigned)(((int)x >> 1) / ((int)y >> 8 | 1)) * 31 + (unsigned)(((int)x >> 1) % ((int)y >> 8 | 1)),
        (unsigned)((int)x >> (y % 32)) + (x >> (z % 32)) + (x << (y % 32)),
    };
    for (int k = 0; k < OPS; k++) out[k * N + i] = r[k];
}

static unsigned bytes(unsigned x, unsigned y, unsigned (*f)(unsigned, unsigned)) {
    unsigned r = 0;
    for (int s = 0; s < 32; s += 8) r |= (f(x >> s & 255, y >> s & 255) & 255) << s;
    return r;
}
static unsigned reversed(unsigned x) {
    unsigned r = 0;
    for (int i = 0; i < 32; i++) r |= (x >> i & 1) << (31 - i);
    return r;
}
static unsigned long long high(unsigned long long a, unsigned long long b) {
    return (unsigned long long)((unsigned __int128)a * b >> 64);
}
static int low24(int v) { return v << 8 >> 8; }
static unsigned permuted(unsigned x, unsigned y, unsigned s) {
    unsigned long long both = (unsigned long long)y << 32 | x;
    unsigned r = 0;
    for (int i = 0; i < 4; i++) r |= (unsigned)(both >> (s >> 4 * i & 7) * 8 & 255) << 8 * i;
    return r;
}

static void host(unsigned x, unsigned y, unsigned z, unsigned *r) {
    unsigned long long xy = (unsigned long long)x << 32 | y, zx = (unsigned long long)z << 32 | x;
    int k = 0;
    auto clz = [](unsigned v) { return v ? __builtin_clz(v) : 32; };
    auto put = [&](unsigned long long v) { r[k++] = (unsigned)v; };
    put(__builtin_popcount(x));
    put(clz(x >> (y % 32)));
    put(__builtin_ffs(x << (y % 32)));
    put(reversed(x));
    put(permuted(x, y, z & 0x7777));
    unsigned long long yx = (unsigned long long)y << 32 | x;
    put(yx << (z & 31) >> 32);
    put(yx >> (z % 50 > 32 ? 32 : z % 50));
    put((unsigned long long)x * y >> 32);
    put((unsigned long long)((long long)(int)x * (int)y >> 32));
    put((unsigned long long)((long long)low24(x) * low24(y)));
    put((unsigned long long)(x & 0xffffff) * (y & 0xffffff));
    put((x > y ? x - y : y - x) + z);
    put((unsigned)((int)x > (int)y ? x - y : y - x) + z);
    put(((unsigned long long)x + y) >> 1);
    put((unsigned long long)(((long long)(int)x + (int)y + 1) >> 1));
    int dot = (int)z;
    for (int s = 0; s < 32; s += 8) dot += (signed char)(x >> s) * (signed char)(y >> s);
    put((unsigned)dot);
    put(bytes(x, y, [](unsigned a, unsigned b) { return a + b; }));
    put(bytes(x, y, [](unsigned a, unsigned b) { return a > b ? a - b : b - a; }));
    put(((unsigned)std::max((short)x, (short)y) & 0xffff) | (unsigned)std::max((short)(x >> 16), (short)(y >> 16)) << 16);
    put(bytes(x, y, [](unsigned a, unsigned b) { return a > b ? 255u : 0u; }));
    put(__builtin_popcountll(xy));
    put(xy >> (z % 64) ? __builtin_clzll(xy >> (z % 64)) : 64);
    put(((unsigned long long)reversed(y) << 32 | reversed(x)) >> 7);
    put(high(xy, zx) ^ high(xy, zx) >> 32);
    put(xy / (zx >> 20 | 1) + xy % (zx >> 20 | 1));
    put((unsigned long long)((long long)xy / ((long long)zx >> 20 | 1)) +
        (unsigned long long)((long long)xy % ((long long)zx >> 20 | 1)));
    put((unsigned)(((int)x >> 1) / ((int)y >> 8 | 1)) * 31 + (unsigned)(((int)x >> 1) % ((int)y >> 8 | 1)));
    put((unsigned)((int)x >> (y % 32)) + (x >> (z % 32)) + (x << (y % 32)));
}

int main() {
    const char *names[OPS] = {"popc",   "clz",    "ffs",       "brev",    "byte_perm", "funnelshift_l", "funnelshift_rc",
                              "umulhi", "mulhi",  "mul24",     "umul24",  "usad",      "sad",           "uhadd",
                              "rhadd",  "dp4a",   "vadd4",     "vabsdiffu4", "vmaxs2", "vcmpgtu4",      "popcll",
                              "clzll",  "brevll", "umul64hi",  "64-bit unsigned division", "64-bit signed division",
                              "32-bit signed division", "shifts"};
    std::vector<unsigned> a(N), b(N), c(N);
    Random random(2024);
    for (int i = 0; i < N; i++) a[i] = random.next(), b[i] = random.next(), c[i] = random.next();
    // Corners among the random values.
    const unsigned corners[] = {0, 1, 0x7fffffff, 0x80000000, 0xffffffff};
    for (int i = 0; i < 25; i++) a[i] = corners[i / 5], b[i] = corners[i % 5];
    Device<unsigned> da(a), db(b), dc(c), out(OPS * N);
    run<<<N / 128, 128>>>(da, db, dc, out);
    MUST(cudaGetLastError());
    std::vector<unsigned> h = out.host();
    int different[OPS] = {};
    for (int i = 0; i < N; i++) {
        unsigned want[OPS];
        host(a[i], b[i], c[i], want);
        for (int k = 0; k < OPS; k++) different[k] += h[k * N + i] != want[k];
    }
    for (int k = 0; k < OPS; k++) check(different[k] == 0, "%s", names[k]);
    return verdict();
}
