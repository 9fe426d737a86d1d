// Errors of the driver API: bad PTX, missing functions, no context, no handle, and their names and texts.
#include "driver.h"
#include "ptx_text.h"

#include <cstring>
#include <string>

int main() {
    CUdevice device;
    cu_expect(CUDA_ERROR_NOT_INITIALIZED, DRIVER(cuDeviceGet)(&device, 0), "before cuInit");
    cu_expect(CUDA_ERROR_INVALID_VALUE, DRIVER(cuInit)(1), "cuInit with flags");
    CU_MUST(DRIVER(cuInit)(0));
    int count = 0;
    CU_MUST(DRIVER(cuDeviceGetCount)(&count));
    cu_expect(CUDA_ERROR_INVALID_DEVICE, DRIVER(cuDeviceGet)(&device, count), "a device past the last");
    CU_MUST(DRIVER(cuDeviceGet)(&device, 0));
    CUmodule module;
    cu_expect(CUDA_ERROR_INVALID_CONTEXT, DRIVER(cuModuleLoadData)(&module, AXPY_PTX), "a module without a context");
    CUdeviceptr memory = 0;
    cu_expect(CUDA_ERROR_INVALID_CONTEXT, DRIVER(cuMemAlloc)(&memory, 16), "memory without a context");

    CUcontext context;
    CU_MUST(DRIVER(cuDevicePrimaryCtxRetain)(&context, device));
    CU_MUST(DRIVER(cuCtxSetCurrent)(context));
    cu_expect(CUDA_ERROR_INVALID_PTX, DRIVER(cuModuleLoadData)(&module, ".version 7.0\n.target sm_70\nthis is not PTX\n"),
              "nonsense");
    std::string bad = AXPY_PTX;
    bad.replace(bad.find("fma.rn.f32"), 10, "fmx.rn.f32");
    char log[4096] = "";
    CUjit_option options[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
    void *values[] = {log, (void *)sizeof log};
    cu_expect(CUDA_ERROR_INVALID_PTX, DRIVER(cuModuleLoadDataEx)(&module, bad.c_str(), 2, options, values),
              "an instruction that does not exist");
    cu_check(strstr(log, "fmx") != nullptr, "the log names the instruction");
    cu_expect(CUDA_ERROR_FILE_NOT_FOUND, DRIVER(cuModuleLoad)(&module, "no/such/file.ptx"), "a missing file");

    CU_MUST(DRIVER(cuModuleLoadData)(&module, AXPY_PTX));
    CUfunction function = nullptr;
    size_t size = 0;
    cu_expect(CUDA_ERROR_NOT_FOUND, DRIVER(cuModuleGetFunction)(&function, module, "no_such_kernel"), "a missing function");
    cu_expect(CUDA_ERROR_NOT_FOUND, DRIVER(cuModuleGetGlobal)(&memory, &size, module, "no_such_variable"), "a missing variable");
    cu_expect(CUDA_ERROR_INVALID_HANDLE, DRIVER(cuLaunchKernel)(nullptr, 1, 1, 1, 1, 1, 1, 0, nullptr, nullptr, nullptr),
              "launch of no function");
    cu_expect(CUDA_ERROR_INVALID_VALUE, DRIVER(cuMemAlloc)(&memory, 0), "allocation of nothing");
    cu_expect(CUDA_ERROR_OUT_OF_MEMORY, DRIVER(cuMemAlloc)(&memory, (size_t)1 << 50), "a petabyte");
    cu_expect(CUDA_ERROR_INVALID_VALUE, DRIVER(cuMemFree)(0xdead000), "free of an unknown address");
    CU_MUST(DRIVER(cuModuleGetFunction)(&function, module, "count"));
    cu_expect(CUDA_ERROR_INVALID_VALUE, DRIVER(cuLaunchKernel)(function, 1, 1, 1, 2048, 1, 1, 0, nullptr, nullptr, nullptr),
              "2048 threads");
    cu_expect(CUDA_ERROR_INVALID_VALUE, DRIVER(cuLaunchKernel)(function, 0, 1, 1, 32, 1, 1, 0, nullptr, nullptr, nullptr),
              "an empty grid");

    const char *text = nullptr;
    for (CUresult e : {CUDA_SUCCESS, CUDA_ERROR_INVALID_PTX, CUDA_ERROR_NOT_FOUND, CUDA_ERROR_NO_BINARY_FOR_GPU, CUDA_ERROR_UNKNOWN}) {
        CU_MUST(DRIVER(cuGetErrorString)(e, &text));
        printf("%d %s: %s\n", (int)e, driver_error_name(e), text);
    }
    cu_expect(CUDA_ERROR_INVALID_VALUE, DRIVER(cuGetErrorName)((CUresult)54321, &text), "the name of no error");
    CU_MUST(DRIVER(cuModuleUnload)(module));
    CU_MUST(DRIVER(cuDevicePrimaryCtxRelease)(device));
    return cu_verdict();
}
