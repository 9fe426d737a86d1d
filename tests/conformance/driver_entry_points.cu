// Driver functions found through the runtime and through the driver itself, beside calls of the runtime.
#include "driver.h"
#include "harness.h"

__device__ int shared_by_both[4] = {1, 2, 3, 4};

static void *entry(const char *name) {
    void *function = nullptr;
    cudaDriverEntryPointQueryResult found;
    MUST(cudaGetDriverEntryPointByVersion(name, &function, 12000, cudaEnableDefault, &found));
    return found == cudaDriverEntryPointSuccess ? function : nullptr;
}

int main() {
    MUST(cudaFree(nullptr));
    auto alloc = (CUresult(*)(CUdeviceptr *, size_t))entry("cuMemAlloc");
    auto copy = (CUresult(*)(void *, CUdeviceptr, size_t))entry("cuMemcpyDtoH");
    check(alloc && copy, "functions by name");
    void *function = (void *)1;
    cudaDriverEntryPointQueryResult found = cudaDriverEntryPointSuccess;
    cudaError_t got = cudaGetDriverEntryPointByVersion("cuNoSuchFunction", &function, 12000, cudaEnableDefault, &found);
    check(found == cudaDriverEntryPointSymbolNotFound && function == nullptr, "a function that does not exist");
    (void)got;
    (void)cudaGetLastError();

    // The runtime's context is the primary context of the device, current in this thread.
    CUcontext current = nullptr, primary = nullptr;
    CU_MUST(((CUresult(*)(CUcontext *))entry("cuCtxGetCurrent"))(&current));
    CU_MUST(DRIVER(cuDevicePrimaryCtxRetain)(&primary, 0));
    check(current == primary && current != nullptr, "the runtime uses the primary context");

    // Memory of one API is memory of the other.
    CUdeviceptr d = 0;
    CU_MUST(alloc(&d, 16));
    MUST(cudaMemset((void *)d, 0x5a, 16));
    unsigned char h[16] = {};
    CU_MUST(copy(h, d, 16));
    printf("set by the runtime, copied by the driver: %02x %02x\n", h[0], h[15]);
    MUST(cudaFree((void *)d));

    void *address = nullptr;
    MUST(cudaGetSymbolAddress(&address, shared_by_both));
    int values[4] = {};
    CU_MUST(copy(values, (CUdeviceptr)address, sizeof values));
    printf("a variable of the program: %d %d %d %d\n", values[0], values[1], values[2], values[3]);

    // A stream of the runtime is a stream of the driver.
    cudaStream_t stream;
    MUST(cudaStreamCreate(&stream));
    CU_MUST(DRIVER(cuStreamSynchronize)(stream));
    CUdriverProcAddressQueryResult status;
    void *proc = nullptr;
    CU_MUST(DRIVER(cuGetProcAddress)("cuStreamSynchronize", &proc, 12000, CU_GET_PROC_ADDRESS_DEFAULT, &status));
    check(proc != nullptr && status == CU_GET_PROC_ADDRESS_SUCCESS, "cuGetProcAddress");
    CU_MUST(((CUresult(*)(CUstream))proc)(stream));
    MUST(cudaStreamDestroy(stream));
    CU_MUST(DRIVER(cuDevicePrimaryCtxRelease)(0));
    wrong += driver_wrong;
    return verdict();
}
