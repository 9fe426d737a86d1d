// A fat binary with PTX for several architectures: the driver takes the highest that the device admits.
// nvcc: -gencode arch=compute_75,code=compute_75 -gencode arch=compute_80,code=compute_80 -gencode arch=compute_90,code=compute_90
#include "harness.h"

__global__ void which(int *out) {
#ifdef __CUDA_ARCH__
    *out = __CUDA_ARCH__;
#endif
}

int main() {
    cudaDeviceProp p;
    MUST(cudaGetDeviceProperties(&p, 0));
    int capability = p.major * 10 + p.minor, want = capability >= 90 ? 900 : capability >= 80 ? 800 : 750;
    Device<int> d(1);
    which<<<1, 1>>>(d);
    MUST(cudaGetLastError());
    check(d.host()[0] == want, "the best image was taken");
    cudaFuncAttributes a;
    MUST(cudaFuncGetAttributes(&a, which));
    check(a.ptxVersion * 10 == want, "as its attributes say");
    return verdict();
}
