// Every thread whose assert fails says so, in kernels that meet at barriers and inside functions too.
// expect: stderr=error_assert_threads.cu:12: int positive(int): block: [0,0,0], thread: [3,0,0] Assertion `value > 0` failed.
// expect: stderr=error_assert_threads.cu:12: int positive(int): block: [0,0,0], thread: [40,0,0] Assertion `value > 0` failed.
// expect: stderr=error_assert_threads.cu:12: int positive(int): block: [0,0,0], thread: [95,0,0] Assertion `value > 0` failed.
// expect: stderr=error_assert_threads.cu:12: int positive(int): block: [1,0,0], thread: [3,0,0] Assertion `value > 0` failed.
// expect: stderr=error_assert_threads.cu:12: int positive(int): block: [1,0,0], thread: [95,0,0] Assertion `value > 0` failed.
#include "harness.h"

#include <cassert>

__device__ __noinline__ int positive(int value) {
    assert(value > 0);
    return value;
}

__global__ void checked(int *passed) {
    int i = threadIdx.x;
    bool astray = i == 3 || i == 40 || i == 95;
    positive(astray ? -1 : i + 1);
    __syncthreads();
    passed[blockIdx.x] = 1;
}

int main() {
    Device<int> passed(2);
    checked<<<2, 96>>>(passed.ptr);
    expect(cudaErrorAssert, cudaDeviceSynchronize(), "assertions that fail");
    return verdict();
}
