// A trap ends the kernel and poisons the context.
#include "harness.h"

__global__ void fault(int *p) {
    if (p[threadIdx.x] == 0) asm volatile("trap;");
}

__global__ void harmless(int *p) { *p = 5; }

int main() {
    Device<int> d(64);
    d.zero();
    harmless<<<1, 1>>>(d);
    expect(cudaSuccess, cudaDeviceSynchronize(), "before");
    fault<<<2, 32>>>(d);
    expect(cudaSuccess, cudaGetLastError(), "the launch itself");
    expect(cudaErrorLaunchFailure, cudaDeviceSynchronize(), "synchronisation");
    // The error stays: every later call meets it.
    expect(cudaErrorLaunchFailure, cudaGetLastError(), "last error");
    int h = 0;
    void *p = nullptr;
    cudaStream_t stream;
    expect(cudaErrorLaunchFailure, cudaMemcpy(&h, d, sizeof h, cudaMemcpyDeviceToHost), "copy");
    expect(cudaErrorLaunchFailure, cudaMalloc(&p, 1024), "allocation");
    expect(cudaErrorLaunchFailure, cudaFree(d), "free");
    expect(cudaErrorLaunchFailure, cudaStreamCreate(&stream), "new stream");
    harmless<<<1, 1>>>(d);
    expect(cudaErrorLaunchFailure, cudaGetLastError(), "next launch");
    expect(cudaErrorLaunchFailure, cudaDeviceSynchronize(), "synchronisation again");
    return verdict();
}
