// What compute_80 has instructions for and older ones do without: warp reductions, copies into shared memory that are
// waited for later, and arithmetic of bfloat16. The same source gives the same values for each.
// also: compute_80 compute_90
#include "harness.h"

#include <cuda_bf16.h>
#include <cuda_pipeline.h>

#include <algorithm>

constexpr int THREADS = 128;

// One instruction on compute_80 (redux.sync), a tree of shuffles on compute_75.
__device__ unsigned warp_sum(unsigned mask, unsigned value) {
#if __CUDA_ARCH__ >= 800
    return __reduce_add_sync(mask, value);
#else
    for (int distance = 16; distance > 0; distance /= 2) value += __shfl_xor_sync(mask, value, distance);
    return value;
#endif
}

__device__ int warp_max(unsigned mask, int value) {
#if __CUDA_ARCH__ >= 800
    return __reduce_max_sync(mask, value);
#else
    for (int distance = 16; distance > 0; distance /= 2) value = max(value, __shfl_xor_sync(mask, value, distance));
    return value;
#endif
}

__global__ void reduce(const int *in, unsigned *sums, int *greatest) {
    int i = blockIdx.x * THREADS + threadIdx.x;
    unsigned sum = warp_sum(~0u, in[i]);
    int most = warp_max(~0u, in[i]);
    if (i % 32 == 0) sums[i / 32] = sum, greatest[i / 32] = most;
}

// Two tiles in flight: cp.async on compute_80, plain copies on compute_75.
__global__ void pipeline(const int4 *in, int4 *out, int tiles) {
    __shared__ int4 tile[2][THREADS];
    int t = threadIdx.x;
    __pipeline_memcpy_async(&tile[0][t], &in[t], sizeof(int4));
    __pipeline_commit();
    for (int k = 0; k < tiles; k++) {
        if (k + 1 < tiles) __pipeline_memcpy_async(&tile[(k + 1) % 2][t], &in[(k + 1) * THREADS + t], sizeof(int4));
        __pipeline_commit();
        __pipeline_wait_prior(1);
        __syncthreads();
        int4 other = tile[k % 2][THREADS - 1 - t];
        out[k * THREADS + t] = make_int4(other.w, other.z, other.y, other.x);
        __syncthreads();
    }
}

__global__ void bfloat(const float *a, const float *b, float *out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    __nv_bfloat16 x = __float2bfloat16(a[i]), y = __float2bfloat16(b[i]);
    out[i] = __bfloat162float(__hadd(x, y));
    out[n + i] = __bfloat162float(__hmul(x, y));
    out[2 * n + i] = __bfloat162float(__hmax(x, y));
}

// To the nearest bfloat16, ties to even.
static float rounded(double exact) {
    float value = (float)exact;
    uint32_t bits;
    memcpy(&bits, &value, 4);
    bits += 0x7fff + (bits >> 16 & 1);
    bits &= 0xffff0000;
    memcpy(&value, &bits, 4);
    return value;
}

int main() {
    const int n = 8 * THREADS, warps = n / 32;
    std::vector<int> in(n);
    for (int i = 0; i < n; i++) in[i] = (i * 7919) % 2003 - 1000;
    Device<int> numbers(in), greatest(warps);
    Device<unsigned> sums(warps);
    reduce<<<n / THREADS, THREADS>>>(numbers, sums, greatest);
    MUST(cudaGetLastError());
    std::vector<unsigned> got_sums = sums.host();
    std::vector<int> got_greatest = greatest.host();
    int different = 0;
    for (int w = 0; w < warps; w++) {
        unsigned sum = 0;
        int most = in[32 * w];
        for (int lane = 0; lane < 32; lane++) sum += in[32 * w + lane], most = std::max(most, in[32 * w + lane]);
        different += got_sums[w] != sum || got_greatest[w] != most;
    }
    check(different == 0, "sums and greatest values of warps");

    const int tiles = n / THREADS;
    std::vector<int4> words(n);
    for (int i = 0; i < n; i++) words[i] = make_int4(i, i * 3, i * 5, i * 7);
    Device<int4> device_words(words), device_turned(n);
    pipeline<<<1, THREADS>>>(device_words, device_turned, tiles);
    MUST(cudaGetLastError());
    std::vector<int4> turned = device_turned.host();
    different = 0;
    for (int i = 0; i < n; i++) {
        int from = i / THREADS * THREADS + THREADS - 1 - i % THREADS;
        int4 have = turned[i];
        different += have.x != from * 7 || have.y != from * 5 || have.z != from * 3 || have.w != from;
    }
    check(different == 0, "tiles in flight");

    std::vector<float> a(n), b(n);
    for (int i = 0; i < n; i++) a[i] = rounded((i - 500) * 0.37), b[i] = rounded((i % 37) * 1.625 - 20);
    Device<float> device_a(a), device_b(b), device_out(3 * n);
    bfloat<<<n / THREADS, THREADS>>>(device_a, device_b, device_out, n);
    MUST(cudaGetLastError());
    std::vector<float> out = device_out.host();
    different = 0;
    for (int i = 0; i < n; i++) {
        // A sum or product of two of these, 8 bits each and not far apart, is exact in float, so it is rounded once.
        different += out[i] != rounded((double)a[i] + b[i]);
        different += out[n + i] != rounded((double)a[i] * b[i]);
        different += out[2 * n + i] != std::max(a[i], b[i]);
    }
    check(different == 0, "bfloat16");
    return verdict();
}
