// An exclusive prefix sum over many blocks: Blelloch's two sweeps in each block, a scan of the block sums, an addition.
#include "harness.h"

constexpr int THREADS = 128, CHUNK = 2 * THREADS;

__global__ void scan_chunks(const int *in, int *out, int *sums, int n) {
    __shared__ int s[CHUNK];
    int t = threadIdx.x, base = blockIdx.x * CHUNK;
    s[2 * t] = base + 2 * t < n ? in[base + 2 * t] : 0;
    s[2 * t + 1] = base + 2 * t + 1 < n ? in[base + 2 * t + 1] : 0;
    int offset = 1;
    for (int d = THREADS; d > 0; d /= 2, offset *= 2) {
        __syncthreads();
        if (t < d) s[offset * (2 * t + 2) - 1] += s[offset * (2 * t + 1) - 1];
    }
    if (t == 0) {
        sums[blockIdx.x] = s[CHUNK - 1];
        s[CHUNK - 1] = 0;
    }
    for (int d = 1; d <= THREADS; d *= 2) {
        offset /= 2;
        __syncthreads();
        if (t < d) {
            int left = offset * (2 * t + 1) - 1, right = offset * (2 * t + 2) - 1, keep = s[left];
            s[left] = s[right];
            s[right] += keep;
        }
    }
    __syncthreads();
    if (base + 2 * t < n) out[base + 2 * t] = s[2 * t];
    if (base + 2 * t + 1 < n) out[base + 2 * t + 1] = s[2 * t + 1];
}

__global__ void add_offsets(int *out, const int *offsets, int n) {
    int i = blockIdx.x * CHUNK + threadIdx.x;
    for (int k = 0; k < 2; k++, i += THREADS)
        if (i < n) out[i] += offsets[blockIdx.x];
}

static void scan(const int *in, int *out, int n) {
    int blocks = (n + CHUNK - 1) / CHUNK;
    Device<int> sums(blocks), offsets(blocks);
    scan_chunks<<<blocks, THREADS>>>(in, out, sums, n);
    MUST(cudaGetLastError());
    if (blocks == 1) return;
    scan(sums, offsets, blocks);
    add_offsets<<<blocks, THREADS>>>(out, offsets, n);
    MUST(cudaGetLastError());
    MUST(cudaDeviceSynchronize());
}

int main() {
    const int sizes[] = {1, 200, 256, 257, 5000, 70001};
    for (int n : sizes) {
        std::vector<int> in(n);
        for (int i = 0; i < n; i++) in[i] = (i * 13 + 5) % 17 - 3;
        Device<int> din(in), dout(n);
        scan(din, dout, n);
        std::vector<int> out = dout.host();
        int sum = 0, different = 0;
        for (int i = 0; i < n; i++) {
            different += out[i] != sum;
            sum += in[i];
        }
        printf("%d elements, last prefix %d", n, out[n - 1]);
        check(different == 0, "");
    }
    return verdict();
}
