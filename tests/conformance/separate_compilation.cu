// Relocatable device code: two source files which use each other's device functions and variables, linked by nvcc.
// nvcc: -rdc=true -gencode arch=compute_75,code=compute_75
// with: separate/part.cu
#include "harness.h"
#include "separate_compilation.h"

// Of the same name as one of part.cu: each file has its own.
static __device__ __noinline__ int own(int x) { return 10 * x; }

// part.cu calls it.
__device__ int given(int x) { return x + own(1); }

// part.cu writes it.
__device__ int counter;

// Both files hold `shared_by_both`; one stays.
__global__ void here(int *out, const int *in, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) out[i] = squared_plus(in[i]) + table[i % TABLE] + shared_by_both(in[i]);
}

int main() {
    const int n = 1000;
    std::vector<int> in(n);
    for (int i = 0; i < n; i++) in[i] = i % 91 - 45;
    Device<int> device_in(in), device_out(n);
    here<<<4, 256>>>(device_out, device_in, n);
    MUST(cudaGetLastError());
    std::vector<int> out = device_out.host();
    int different = 0;
    for (int i = 0; i < n; i++) {
        // squared_plus(x) is given(x * x) + own(x) of part.cu; the table holds cubes.
        int x = in[i], t = i % TABLE, want = (x * x + 10) + 7 * x + t * t * t + (x ^ 0x55);
        different += out[i] != want;
    }
    check(different == 0, "a kernel calls functions of another file");

    count_from_part(n);
    int counted = 0;
    MUST(cudaMemcpyFromSymbol(&counted, counter, sizeof counted));
    printf("counted: %d\n", counted);
    check(counted == n, "a kernel of another file writes a variable of this one");
    return verdict();
}
