// Atomic operations of 16, 32 and 64 bits in global and shared memory, and loops around compare-and-swap.
#include "harness.h"

#include <climits>

struct Results {
    int add, sub, min, max, exch_seen;
    unsigned inc, dec, umin, umax, land, lor, lxor;
    long long smin64, smax64;
    unsigned long long add64, and64, or64, xor64, exch64, cas_count;
    float fadd;
    double dadd;
    int fmax_bits;
    unsigned lock_total;
    unsigned short cas16;
};

__device__ float atomic_max_float(int *bits, float v) {
    int old = *(volatile int *)bits, seen;
    do {
        seen = old;
        if (__int_as_float(seen) >= v) break;
        old = atomicCAS(bits, seen, __float_as_int(v));
    } while (old != seen);
    return __int_as_float(old);
}

__global__ void run(Results *r, unsigned *lock) {
    int t = blockIdx.x * blockDim.x + threadIdx.x;
    atomicAdd(&r->add, t);
    atomicSub(&r->sub, 2);
    atomicMin(&r->min, (t * 37) % 1000 - 500);
    atomicMax(&r->max, (t * 53) % 1000 - 500);
    atomicInc(&r->inc, 99);
    atomicDec(&r->dec, 70);
    atomicMin(&r->umin, 0xfffffff0u - t);
    atomicMax(&r->umax, t * 2654435761u);
    atomicAnd(&r->land, ~(1u << (t % 20)));
    atomicOr(&r->lor, 1u << (t % 13));
    atomicXor(&r->lxor, t * 0x9e3779b9u);
    atomicMin(&r->smin64, -(1LL << 40) - t);
    atomicMax(&r->smax64, (1LL << 40) + t);
    atomicAdd(&r->add64, (1ULL << 32) + t);
    atomicAnd(&r->and64, ~(1ULL << (t % 50)));
    atomicOr(&r->or64, 1ULL << (t % 61));
    atomicXor(&r->xor64, t * 0x9e3779b97f4a7c15ULL);
    atomicAdd(&r->fadd, 0.5f);
    atomicAdd(&r->dadd, 0.25);
    atomic_max_float(&r->fmax_bits, (t * 7 % 513) * 0.5f);
    // Exactly one thread sees the first value of an exchange.
    if (atomicExch(&r->exch64, t + 1) == 0) atomicAdd(&r->exch_seen, 1);
    // Each thread adds its number by compare-and-swap.
    unsigned long long old = r->cas_count, seen;
    do {
        seen = old;
        old = atomicCAS(&r->cas_count, seen, seen + t);
    } while (old != seen);
    unsigned short old16 = r->cas16, seen16;
    do {
        seen16 = old16;
        old16 = atomicCAS(&r->cas16, seen16, (unsigned short)(seen16 + 1));
    } while (old16 != seen16);
    // A lock that each thread of a warp takes in turn.
    bool done = false;
    while (!done) {
        if (atomicCAS(lock, 0, 1) == 0) {
            __threadfence();
            *(volatile unsigned *)&r->lock_total += 3;
            __threadfence();
            atomicExch(lock, 0);
            done = true;
        }
    }
}

__global__ void in_shared(unsigned long long *out) {
    __shared__ unsigned count;
    __shared__ unsigned long long wide;
    __shared__ int best;
    if (threadIdx.x == 0) {
        count = 0;
        wide = 0;
        best = -1;
    }
    __syncthreads();
    atomicAdd(&count, threadIdx.x);
    atomicAdd(&wide, 1ULL << (threadIdx.x % 40));
    atomicMax(&best, (int)(threadIdx.x * 17 % 101));
    unsigned ticket = atomicInc(&count, 0xffffffff);
    __syncthreads();
    if (threadIdx.x == 0) {
        out[0] = count;
        out[1] = wide;
        out[2] = best;
        out[3] = ticket < count;
    }
}

int main() {
    const int n = 512;
    Results init = {};
    init.min = 10000;
    init.max = -10000;
    init.umin = init.land = ~0u;
    init.and64 = ~0ULL;
    init.smin64 = LLONG_MAX;
    init.smax64 = LLONG_MIN;
    init.dec = 50;
    std::vector<Results> h = {init};
    Device<Results> d(h);
    Device<unsigned> lock(1);
    lock.zero();
    run<<<4, n / 4>>>(d, lock);
    MUST(cudaGetLastError());
    Results r = d.host()[0];
    printf("32 bit: add %d sub %d min %d max %d inc %u dec %u\n", r.add, r.sub, r.min, r.max, r.inc, r.dec);
    printf("unsigned: min %x max %x and %x or %x xor %x\n", r.umin, r.umax, r.land, r.lor, r.lxor);
    printf("64 bit: min %lld max %lld add %llu and %llx or %llx xor %llx\n", r.smin64, r.smax64, r.add64, r.and64, r.or64, r.xor64);
    float most;
    memcpy(&most, &r.fmax_bits, 4);
    printf("floating point: add %g %g, max %g\n", r.fadd, r.dadd, most);
    printf("exchange: first value seen %d time\n", r.exch_seen);
    printf("compare and swap: %llu %u, lock %u\n", r.cas_count, r.cas16, r.lock_total);
    Device<unsigned long long> s(4);
    in_shared<<<1, 128>>>(s);
    std::vector<unsigned long long> sh = s.host();
    printf("shared: %llu %llu %llu %llu\n", sh[0], sh[1], sh[2], sh[3]);
    MUST(cudaGetLastError());
    return verdict();
}
