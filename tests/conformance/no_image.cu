// A program with machine code for another architecture only, and no PTX: the documented error, and no crash.
// nvcc: -gencode arch=compute_75,code=sm_75
#include "harness.h"

__global__ void nothing() {}

int main() {
    cudaDeviceProp p;
    MUST(cudaGetDeviceProperties(&p, 0));
    if (p.major == 7 && p.minor >= 5) {
        printf("this device runs the image, and the rest does not apply\n");
        return 1;
    }
    nothing<<<1, 1>>>();
    expect(cudaErrorNoKernelImageForDevice, cudaGetLastError(), "launch");
    cudaFuncAttributes a;
    expect(cudaErrorNoKernelImageForDevice, cudaFuncGetAttributes(&a, nothing), "attributes");
    (void)cudaGetLastError();
    void *d = nullptr;
    expect(cudaSuccess, cudaMalloc(&d, 64), "the device is usable all the same");
    MUST(cudaFree(d));
    return verdict();
}
