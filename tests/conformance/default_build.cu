// What nvcc makes without any option: machine code for compute 7.5 and PTX beside it, in a compressed fat binary.
// nvcc:
#include "harness.h"

__global__ void collatz(const unsigned *from, unsigned *steps, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    unsigned long long v = from[i];
    unsigned s = 0;
    while (v != 1) {
        v = v % 2 ? 3 * v + 1 : v / 2;
        s++;
    }
    steps[i] = s;
}

int main() {
    const int n = 1000;
    std::vector<unsigned> from(n);
    for (int i = 0; i < n; i++) from[i] = i + 1;
    Device<unsigned> d(from), s(n);
    collatz<<<(n + 63) / 64, 64>>>(d, s, n);
    MUST(cudaGetLastError());
    std::vector<unsigned> steps = s.host();
    unsigned longest = 0;
    for (int i = 0; i < n; i++)
        if (steps[i] > steps[longest]) longest = i;
    printf("27 takes %u steps; the longest below 1001: %u with %u\n", steps[26], longest + 1, steps[longest]);
    return verdict();
}
