// Context-independent loading: libraries, kernels, their variables, and the layout of their parameters.
#include "driver.h"
#include "ptx_text.h"

#include <cstring>
#include <vector>

int main() {
    CU_MUST(DRIVER(cuInit)(0));
    CUdevice device;
    CUcontext context;
    CU_MUST(DRIVER(cuDeviceGet)(&device, 0));
    CU_MUST(DRIVER(cuDevicePrimaryCtxRetain)(&context, device));
    CU_MUST(DRIVER(cuCtxSetCurrent)(context));
    CUlibrary library;
    CU_MUST(DRIVER(cuLibraryLoadData)(&library, AXPY_PTX, nullptr, nullptr, 0, nullptr, nullptr, 0));
    unsigned kernels = 0;
    CU_MUST(DRIVER(cuLibraryGetKernelCount)(&kernels, library));
    printf("kernels: %u\n", kernels);
    CUkernel axpy, missing;
    CU_MUST(DRIVER(cuLibraryGetKernel)(&axpy, library, "axpy"));
    cu_expect(CUDA_ERROR_NOT_FOUND, DRIVER(cuLibraryGetKernel)(&missing, library, "no_such_kernel"), "a missing kernel");
    const char *name = "";
    CU_MUST(DRIVER(cuKernelGetName)(&name, axpy));
    printf("name: %s\n", name);
    size_t offset = 0, size = 0;
    for (int i = 0; i < 4; i++) {
        CU_MUST(DRIVER(cuKernelGetParamInfo)(axpy, i, &offset, &size));
        printf("parameter %d: %zu bytes at %zu\n", i, size, offset);
    }
    cu_expect(CUDA_ERROR_INVALID_VALUE, DRIVER(cuKernelGetParamInfo)(axpy, 4, &offset, &size), "parameter 4");

    const unsigned n = 300;
    std::vector<float> x(n, 2), y(n, 1);
    CUdeviceptr dx, dy;
    CUstream stream;
    CU_MUST(DRIVER(cuStreamCreate)(&stream, CU_STREAM_NON_BLOCKING));
    CU_MUST(DRIVER(cuMemAlloc)(&dx, n * 4));
    CU_MUST(DRIVER(cuMemAlloc)(&dy, n * 4));
    CU_MUST(DRIVER(cuMemcpyHtoDAsync)(dx, x.data(), n * 4, stream));
    CU_MUST(DRIVER(cuMemcpyHtoDAsync)(dy, y.data(), n * 4, stream));
    float a = 5;
    unsigned length = n;
    void *arguments[] = {&dx, &dy, &a, &length};
    // A kernel can stand for its function, or be resolved in the current context.
    CU_MUST(DRIVER(cuLaunchKernel)((CUfunction)axpy, 3, 1, 1, 128, 1, 1, 0, stream, arguments, nullptr));
    CUfunction function;
    CU_MUST(DRIVER(cuKernelGetFunction)(&function, axpy));
    CU_MUST(DRIVER(cuLaunchKernel)(function, 3, 1, 1, 128, 1, 1, 0, stream, arguments, nullptr));
    CU_MUST(DRIVER(cuMemcpyDtoHAsync)(y.data(), dy, n * 4, stream));
    CU_MUST(DRIVER(cuStreamSynchronize)(stream));
    printf("y[0] = %g, y[299] = %g\n", y[0], y[299]);

    CUdeviceptr calls;
    CU_MUST(DRIVER(cuLibraryGetGlobal)(&calls, &size, library, "calls"));
    unsigned value = 0;
    CU_MUST(DRIVER(cuMemcpyDtoH)(&value, calls, 4));
    printf("calls: %u\n", value);
    cu_expect(CUDA_ERROR_NOT_FOUND, DRIVER(cuLibraryGetGlobal)(&calls, &size, library, "nothing"), "a missing variable");
    cu_expect(CUDA_ERROR_INVALID_PTX,
              DRIVER(cuLibraryLoadData)(&library, ".version 7.0\n.target sm_70\nnonsense\n", nullptr, nullptr, 0, nullptr, nullptr, 0),
              "bad PTX");
    CU_MUST(DRIVER(cuStreamDestroy)(stream));
    CU_MUST(DRIVER(cuMemFree)(dx));
    CU_MUST(DRIVER(cuMemFree)(dy));
    CU_MUST(DRIVER(cuLibraryUnload)(library));
    CU_MUST(DRIVER(cuDevicePrimaryCtxRelease)(device));
    return cu_verdict();
}
