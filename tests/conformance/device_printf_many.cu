// printf from every thread of a grid: each line comes once and whole, in whatever order the threads ran.
// expect: lines=any-order
#include "harness.h"

__global__ void say(int factor) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    printf("thread %d times %d is %d\n", i, factor, i * factor);
}

int main() {
    say<<<4, 16>>>(11);
    MUST(cudaGetLastError());
    MUST(cudaDeviceSynchronize());
    fflush(stdout);
    return verdict();
}
