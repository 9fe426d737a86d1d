// A sum in one launch: the last block to finish, by an atomic ticket behind a fence, adds what the others left.
#include "harness.h"

__device__ unsigned finished;

__global__ void sum_all(const float *in, volatile float *partial, float *total, int n) {
    __shared__ float s[128];
    __shared__ bool last;
    int t = threadIdx.x;
    float v = 0;
    for (int i = blockIdx.x * blockDim.x + t; i < n; i += gridDim.x * blockDim.x) v += in[i];
    s[t] = v;
    for (int d = blockDim.x / 2; d > 0; d /= 2) {
        __syncthreads();
        if (t < d) s[t] += s[t + d];
    }
    if (t == 0) {
        partial[blockIdx.x] = s[0];
        __threadfence();
        last = atomicInc(&finished, gridDim.x - 1) == gridDim.x - 1;
    }
    __syncthreads();
    if (!last) return;
    v = 0;
    for (int i = t; i < gridDim.x; i += blockDim.x) v += partial[i];
    s[t] = v;
    for (int d = blockDim.x / 2; d > 0; d /= 2) {
        __syncthreads();
        if (t < d) s[t] += s[t + d];
    }
    if (t == 0) *total = s[0];
}

int main() {
    const int n = 40000, blocks = 50;
    std::vector<float> in(n);
    double want = 0;
    for (int i = 0; i < n; i++) want += in[i] = i % 257;
    Device<float> d(in), partial(blocks), total(1);
    for (int round = 0; round < 5; round++) {
        total.zero();
        sum_all<<<blocks, 128>>>(d, partial.ptr, total, n);
        MUST(cudaGetLastError());
        check(total.host()[0] == want, "round %d: %.0f", round, total.host()[0]);
    }
    return verdict();
}
