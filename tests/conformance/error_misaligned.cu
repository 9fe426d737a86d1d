// A store of four bytes at an address that is not a multiple of four.
#include "harness.h"

__global__ void fault(int *p) {
    *(volatile int *)((char *)p + 2) = 1;
}

__global__ void harmless(int *p) { *p = 5; }

int main() {
    Device<int> d(64);
    d.zero();
    harmless<<<1, 1>>>(d);
    expect(cudaSuccess, cudaDeviceSynchronize(), "before");
    fault<<<2, 32>>>(d);
    expect(cudaSuccess, cudaGetLastError(), "the launch itself");
    expect(cudaErrorMisalignedAddress, cudaDeviceSynchronize(), "synchronisation");
    // The error stays: every later call meets it.
    expect(cudaErrorMisalignedAddress, cudaGetLastError(), "last error");
    int h = 0;
    void *p = nullptr;
    cudaStream_t stream;
    expect(cudaErrorMisalignedAddress, cudaMemcpy(&h, d, sizeof h, cudaMemcpyDeviceToHost), "copy");
    expect(cudaErrorMisalignedAddress, cudaMalloc(&p, 1024), "allocation");
    expect(cudaErrorMisalignedAddress, cudaFree(d), "free");
    expect(cudaErrorMisalignedAddress, cudaStreamCreate(&stream), "new stream");
    harmless<<<1, 1>>>(d);
    expect(cudaErrorMisalignedAddress, cudaGetLastError(), "next launch");
    expect(cudaErrorMisalignedAddress, cudaDeviceSynchronize(), "synchronisation again");
    return verdict();
}
