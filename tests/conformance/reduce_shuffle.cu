// Reductions by warp shuffles: down, up, xor and index, for 32- and 64-bit values, then across a block.
#include "harness.h"

template <class T>
__device__ T warp_sum(T v) {
    for (int d = 16; d > 0; d /= 2) v += __shfl_down_sync(0xffffffffu, v, d);
    return v;
}

template <class T>
__global__ void block_sum(const T *in, T *out, int n) {
    __shared__ T partial[32];
    T v = 0;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) v += in[i];
    v = warp_sum(v);
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    if (lane == 0) partial[warp] = v;
    __syncthreads();
    if (warp == 0) {
        v = lane < blockDim.x / 32 ? partial[lane] : 0;
        v = warp_sum(v);
        if (lane == 0) atomicAdd(out, v);
    }
}

__global__ void lanes(int *out) {
    int lane = threadIdx.x;
    out[lane] = __shfl_up_sync(0xffffffffu, lane, 3);
    out[32 + lane] = __shfl_down_sync(0xffffffffu, lane, 5);
    out[64 + lane] = __shfl_xor_sync(0xffffffffu, lane, 9);
    out[96 + lane] = __shfl_sync(0xffffffffu, lane * lane, 7);
    out[128 + lane] = __shfl_down_sync(0xffffffffu, lane, 2, 8);
    out[160 + lane] = __shfl_sync(0xffffffffu, lane, 1, 4);
    int m = lane * 37 % 101;
    for (int d = 16; d > 0; d /= 2) m = max(m, __shfl_xor_sync(0xffffffffu, m, d));
    out[192 + lane] = m;
}

template <class T>
static T total(int n) {
    std::vector<T> in(n);
    for (int i = 0; i < n; i++) in[i] = i % 1000;
    Device<T> din(in), dout(1);
    dout.zero();
    block_sum<T><<<8, 256>>>(din, dout, n);
    MUST(cudaGetLastError());
    return dout.host()[0];
}

static void print_row(const char *name, const int *row) {
    printf("%-7s", name);
    for (int i = 0; i < 32; i++) printf(" %d", row[i]);
    printf("\n");
}

int main() {
    const int n = 20000;
    printf("int sum: %d\n", total<int>(n));
    printf("float sum: %.1f\n", total<float>(n));
    printf("double sum: %.1f\n", total<double>(n));
    printf("unsigned long long sum: %llu\n", total<unsigned long long>(n));
    Device<int> d(224);
    lanes<<<1, 32>>>(d);
    MUST(cudaGetLastError());
    std::vector<int> h = d.host();
    const char *names[] = {"up3", "down5", "xor9", "from7", "down2/8", "from1/4", "max"};
    for (int i = 0; i < 7; i++) print_row(names[i], &h[32 * i]);
    return verdict();
}
