// A histogram of 256 bins: with global atomics alone, and with shared atomics that are merged at the end.
#include "harness.h"

__global__ void global_bins(const unsigned char *in, unsigned *bins, int n) {
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) atomicAdd(&bins[in[i]], 1u);
}

__global__ void shared_bins(const unsigned char *in, unsigned *bins, int n) {
    __shared__ unsigned local[256];
    for (int b = threadIdx.x; b < 256; b += blockDim.x) local[b] = 0;
    __syncthreads();
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) atomicAdd(&local[in[i]], 1u);
    __syncthreads();
    for (int b = threadIdx.x; b < 256; b += blockDim.x) atomicAdd(&bins[b], local[b]);
}

int main() {
    const int n = 50000;
    std::vector<unsigned char> in(n);
    std::vector<unsigned> want(256, 0);
    Random random(12345);
    for (int i = 0; i < n; i++) {
        // The sum of three draws: a hill, so that the middle bins are fought for.
        in[i] = (random.next() % 86 + random.next() % 86 + random.next() % 86);
        want[in[i]]++;
    }
    Device<unsigned char> din(in);
    Device<unsigned> first(256), second(256);
    first.zero();
    second.zero();
    global_bins<<<16, 128>>>(din, first, n);
    shared_bins<<<16, 128>>>(din, second, n);
    MUST(cudaGetLastError());
    std::vector<unsigned> a = first.host(), b = second.host();
    for (int bin = 64; bin < 256; bin += 64) printf("bin %d: %u\n", bin, b[bin]);
    check(a == want, "global atomics");
    check(b == want, "shared atomics");
    return verdict();
}
