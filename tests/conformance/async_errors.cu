// Where the error of an asynchronous call shows: never at the call, always at the next synchronisation, and work queued
// behind it does not run.
#include "harness.h"

__global__ void store(int *p, int v) { *p = v; }

int main() {
    Device<int> d(1);
    int *pinned = nullptr;
    cudaStream_t stream;
    MUST(cudaMallocHost(&pinned, sizeof(int)));
    MUST(cudaStreamCreate(&stream));
    *pinned = 9;
    store<<<1, 1, 0, stream>>>(d, 1);
    MUST(cudaStreamSynchronize(stream));
    store<<<1, 1, 0, stream>>>((int *)(((size_t)d.ptr | 0xfff) + 1 + (1LL << 34)), 2);
    expect(cudaSuccess, cudaGetLastError(), "launch");
    expect(cudaErrorIllegalAddress, cudaStreamSynchronize(stream), "the stream");
    expect(cudaErrorIllegalAddress, cudaMemcpyAsync(pinned, d, sizeof(int), cudaMemcpyDeviceToHost, stream), "copy behind it");
    expect(cudaErrorIllegalAddress, cudaStreamSynchronize(stream), "the stream again");
    printf("pinned memory is as it was: %d\n", *pinned);
    cudaEvent_t event;
    expect(cudaErrorIllegalAddress, cudaEventCreate(&event), "new event");
    expect(cudaErrorIllegalAddress, cudaGetLastError(), "last error");
    return verdict();
}
