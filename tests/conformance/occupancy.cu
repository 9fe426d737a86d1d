// Attributes of kernels, and the occupancy that follows from them.
#include "harness.h"

__global__ void __launch_bounds__(256, 2) bounded(float *out) {
    __shared__ float s[300];
    s[threadIdx.x] = threadIdx.x;
    __syncthreads();
    out[threadIdx.x] = s[255 - threadIdx.x];
}

__constant__ int table[8] = {1};

__global__ void plain(int *out) {
    extern __shared__ int s[];
    s[threadIdx.x] = table[threadIdx.x % 8];
    out[threadIdx.x] = s[threadIdx.x];
}

__global__ void with_locals(int *out, int seed) {
    int stack[64];
    for (int i = 0; i < 64; i++) stack[(i * seed) % 64] = i;
    out[threadIdx.x] = stack[(threadIdx.x * seed) % 64];
}

int main() {
    cudaDeviceProp p;
    MUST(cudaGetDeviceProperties(&p, 0));
    cudaFuncAttributes a;
    MUST(cudaFuncGetAttributes(&a, bounded));
    printf("bounded: %d threads, %zu bytes shared\n", a.maxThreadsPerBlock, a.sharedSizeBytes);
    check(a.ptxVersion == 75, "compiled for compute 7.5");
    check(a.binaryVersion == p.major * 10 + p.minor || a.binaryVersion >= 75, "machine code of the device");
    check(a.numRegs > 0 && a.numRegs <= 255, "registers");
    MUST(cudaFuncGetAttributes(&a, plain));
    printf("plain: %d threads, %zu bytes shared, %d bytes dynamic at most\n", a.maxThreadsPerBlock, a.sharedSizeBytes,
           a.maxDynamicSharedSizeBytes);
    MUST(cudaFuncGetAttributes(&a, with_locals));
    check(a.localSizeBytes >= 256, "local memory for 64 integers");

    MUST(cudaFuncSetAttribute(plain, cudaFuncAttributeMaxDynamicSharedMemorySize, 60000));
    MUST(cudaFuncGetAttributes(&a, plain));
    printf("after a request: %d bytes dynamic at most\n", a.maxDynamicSharedSizeBytes);
    MUST(cudaFuncSetAttribute(plain, cudaFuncAttributePreferredSharedMemoryCarveout, 50));
    MUST(cudaFuncSetCacheConfig(plain, cudaFuncCachePreferShared));

    int blocks = 0, last = 1 << 30;
    bool falls = true, fits = true;
    for (int threads = 32; threads <= 1024; threads *= 2) {
        MUST(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, plain, threads, 1024));
        falls &= blocks <= last;
        fits &= blocks >= 1 && blocks * threads <= p.maxThreadsPerMultiProcessor && blocks * 1024 <= (int)p.sharedMemPerMultiprocessor;
        last = blocks;
    }
    check(falls, "larger blocks, not more of them");
    check(fits, "never more than a multiprocessor holds");
    MUST(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, plain, 128, 60000));
    printf("blocks with 60000 bytes of shared memory fit: %s\n", blocks >= 1 ? "yes" : "no");
    int grid = 0, block = 0;
    MUST(cudaOccupancyMaxPotentialBlockSize(&grid, &block, bounded, 0, 0));
    check(block % 32 == 0 && block <= 256 && block > 0 && grid >= p.multiProcessorCount, "a launch that fills the device");

    Device<float> out(256);
    bounded<<<1, 256>>>(out);
    printf("bounded ran: %g %g\n", out.host()[0], out.host()[255]);
    Device<int> locals(64);
    with_locals<<<1, 64>>>(locals, 3);
    printf("with_locals ran: %d %d\n", locals.host()[0], locals.host()[63]);
    MUST(cudaGetLastError());
    return verdict();
}
