// A program that ends in the midst of its work, with memory, streams and a launch left: its own exit status counts.
// expect: exit=42
#include "harness.h"

__global__ void slow(int *p) {
    for (int i = 0; i < 100000; i++) atomicAdd(p, 1);
}

int main() {
    int *d = nullptr, *pinned = nullptr;
    cudaStream_t stream;
    MUST(cudaMalloc(&d, 1 << 20));
    MUST(cudaMallocHost(&pinned, 1 << 20));
    MUST(cudaStreamCreate(&stream));
    for (int i = 0; i < 4; i++) slow<<<4, 32, 0, stream>>>(d);
    MUST(cudaMemcpyAsync(pinned, d, 1 << 20, cudaMemcpyDeviceToHost, stream));
    printf("leaving\n");
    exit(42);
}
