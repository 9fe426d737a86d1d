// A store through a null pointer.
#include "harness.h"

__global__ void fault(int *p) {
    *(volatile int *)nullptr = p[0];
}

__global__ void harmless(int *p) { *p = 5; }

int main() {
    Device<int> d(64);
    d.zero();
    harmless<<<1, 1>>>(d);
    expect(cudaSuccess, cudaDeviceSynchronize(), "before");
    fault<<<2, 32>>>(d);
    expect(cudaSuccess, cudaGetLastError(), "the launch itself");
    expect(cudaErrorIllegalAddress, cudaDeviceSynchronize(), "synchronisation");
    // The error stays: every later call meets it.
    expect(cudaErrorIllegalAddress, cudaGetLastError(), "last error");
    int h = 0;
    void *p = nullptr;
    cudaStream_t stream;
    expect(cudaErrorIllegalAddress, cudaMemcpy(&h, d, sizeof h, cudaMemcpyDeviceToHost), "copy");
    expect(cudaErrorIllegalAddress, cudaMalloc(&p, 1024), "allocation");
    expect(cudaErrorIllegalAddress, cudaFree(d), "free");
    expect(cudaErrorIllegalAddress, cudaStreamCreate(&stream), "new stream");
    harmless<<<1, 1>>>(d);
    expect(cudaErrorIllegalAddress, cudaGetLastError(), "next launch");
    expect(cudaErrorIllegalAddress, cudaDeviceSynchronize(), "synchronisation again");
    return verdict();
}
