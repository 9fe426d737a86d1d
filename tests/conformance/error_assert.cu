// A failed assert on the device: a message on stderr for each failing thread, and an error which sticks.
// expect: stderr=error_assert.cu:9: void checked(int): block: [1,0,0], thread: [5,0,0] Assertion `value < 5` failed.
#include "harness.h"

#include <cassert>

__global__ void checked(int limit) {
    int value = blockIdx.x == 1 && threadIdx.x == 5 ? limit : 0;
    assert(value < 5);
}

int main() {
    checked<<<2, 32>>>(4);
    expect(cudaSuccess, cudaDeviceSynchronize(), "an assertion that holds");
    checked<<<2, 32>>>(5);
    expect(cudaSuccess, cudaGetLastError(), "the launch itself");
    expect(cudaErrorAssert, cudaDeviceSynchronize(), "an assertion that fails");
    void *p = nullptr;
    expect(cudaErrorAssert, cudaMalloc(&p, 64), "next call");
    expect(cudaErrorAssert, cudaGetLastError(), "last error");
    return verdict();
}
