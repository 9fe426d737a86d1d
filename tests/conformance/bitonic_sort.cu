// A bitonic sort of keys with their values: launches that each need the one before, and tails in shared memory.
#include "harness.h"

#include <algorithm>

__device__ void order(unsigned &ka, unsigned &va, unsigned &kb, unsigned &vb, bool up) {
    if (ka > kb == up) {
        unsigned k = ka, v = va;
        ka = kb, va = vb;
        kb = k, vb = v;
    }
}

__global__ void step(unsigned *keys, unsigned *values, int j, int k) {
    int i = blockIdx.x * blockDim.x + threadIdx.x, other = i ^ j;
    if (other > i) order(keys[i], values[i], keys[other], values[other], (i & k) == 0);
}

__global__ void tail(unsigned *keys, unsigned *values, int k) {
    __shared__ unsigned ks[256], vs[256];
    int t = threadIdx.x, i = blockIdx.x * 256 + t;
    ks[t] = keys[i], vs[t] = values[i];
    for (int j = 128 < k / 2 ? 128 : k / 2; j > 0; j /= 2) {
        __syncthreads();
        int other = t ^ j;
        if (other > t) order(ks[t], vs[t], ks[other], vs[other], (i & k) == 0);
    }
    __syncthreads();
    keys[i] = ks[t], values[i] = vs[t];
}

int main() {
    const int n = 1 << 13;
    std::vector<unsigned> keys(n), values(n);
    Random random(31337);
    for (int i = 0; i < n; i++) keys[i] = random.next(), values[i] = i;
    Device<unsigned> dk(keys), dv(values);
    int launches = 0;
    for (int k = 2; k <= n; k *= 2) {
        for (int j = k / 2; j > 128; j /= 2, launches++) step<<<n / 256, 256>>>(dk, dv, j, k);
        tail<<<n / 256, 256>>>(dk, dv, k);
        launches++;
    }
    MUST(cudaGetLastError());
    std::vector<unsigned> sorted = dk.host(), from = dv.host();
    bool belongs = true;
    for (int i = 0; i < n; i++) belongs &= keys[from[i]] == sorted[i];
    printf("%d launches, smallest %u, middle %u, largest %u\n", launches, sorted[0], sorted[n / 2], sorted[n - 1]);
    check(std::is_sorted(sorted.begin(), sorted.end()), "sorted");
    check(belongs, "values came along");
    return verdict();
}
