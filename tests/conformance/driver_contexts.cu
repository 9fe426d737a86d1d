// Contexts: the stack of each thread, contexts made and destroyed, and work of two threads in two contexts.
#include "driver.h"
#include "ptx_text.h"

#include <thread>
#include <vector>

static float run(CUcontext context, float a) {
    CU_MUST(DRIVER(cuCtxPushCurrent)(context));
    CUmodule module;
    CUfunction axpy;
    CU_MUST(DRIVER(cuModuleLoadData)(&module, AXPY_PTX));
    CU_MUST(DRIVER(cuModuleGetFunction)(&axpy, module, "axpy"));
    CUdeviceptr x, y;
    CU_MUST(DRIVER(cuMemAlloc)(&x, 400));
    CU_MUST(DRIVER(cuMemAlloc)(&y, 400));
    CU_MUST(DRIVER(cuMemsetD32)(x, 0x3f800000, 100));
    CU_MUST(DRIVER(cuMemsetD32)(y, 0, 100));
    unsigned n = 100;
    void *arguments[] = {&x, &y, &a, &n};
    for (int i = 0; i < 10; i++) CU_MUST(DRIVER(cuLaunchKernel)(axpy, 1, 1, 1, 128, 1, 1, 0, nullptr, arguments, nullptr));
    CU_MUST(DRIVER(cuCtxSynchronize)());
    float result = 0;
    CU_MUST(DRIVER(cuMemcpyDtoH)(&result, y + 99 * 4, 4));
    CU_MUST(DRIVER(cuMemFree)(x));
    CU_MUST(DRIVER(cuMemFree)(y));
    CU_MUST(DRIVER(cuModuleUnload)(module));
    CUcontext popped = nullptr;
    CU_MUST(DRIVER(cuCtxPopCurrent)(&popped));
    return popped == context ? result : -1;
}

int main() {
    CU_MUST(DRIVER(cuInit)(0));
    CUdevice device, of_context = -1;
    CU_MUST(DRIVER(cuDeviceGet)(&device, 0));
    CUcontext current = (CUcontext)1, popped, first, second;
    CU_MUST(DRIVER(cuCtxGetCurrent)(&current));
    cu_check(current == nullptr, "no context at the start");
    cu_expect(CUDA_ERROR_INVALID_CONTEXT, DRIVER(cuCtxPopCurrent)(&popped), "pop of an empty stack");

    CU_MUST(DRIVER(cuCtxCreate)(&first, nullptr, 0, device));
    CU_MUST(DRIVER(cuCtxCreate)(&second, nullptr, 0, device));
    CU_MUST(DRIVER(cuCtxGetCurrent)(&current));
    cu_check(current == second, "the newest is current");
    CU_MUST(DRIVER(cuCtxGetDevice)(&of_context));
    cu_check(of_context == device, "on the device");
    CU_MUST(DRIVER(cuCtxPopCurrent)(&popped));
    cu_check(popped == second, "pop gives the newest");
    CU_MUST(DRIVER(cuCtxGetCurrent)(&current));
    cu_check(current == first, "the older is current again");
    CU_MUST(DRIVER(cuCtxPushCurrent)(second));
    CU_MUST(DRIVER(cuCtxSetCurrent)(first));
    CU_MUST(DRIVER(cuCtxPopCurrent)(&popped));
    cu_check(popped == first, "set replaces the top");

    // A thread starts with no context, whatever the others have.
    CUcontext in_thread = (CUcontext)1;
    float results[2] = {};
    std::thread a([&] {
        CU_MUST(DRIVER(cuCtxGetCurrent)(&in_thread));
        results[0] = run(first, 2);
    });
    std::thread b([&] { results[1] = run(second, 3); });
    a.join();
    b.join();
    cu_check(in_thread == nullptr, "a new thread has none");
    printf("results of the threads: %g %g\n", results[0], results[1]);

    unsigned flags = 0;
    int active = -1;
    CU_MUST(DRIVER(cuDevicePrimaryCtxGetState)(device, &flags, &active));
    printf("primary context active: %d\n", active);
    CUcontext primary, again;
    CU_MUST(DRIVER(cuDevicePrimaryCtxRetain)(&primary, device));
    CU_MUST(DRIVER(cuDevicePrimaryCtxRetain)(&again, device));
    cu_check(primary == again && primary != first, "one primary context");
    CU_MUST(DRIVER(cuDevicePrimaryCtxGetState)(device, &flags, &active));
    printf("primary context active: %d\n", active);
    printf("result in the primary context: %g\n", run(primary, 4));
    CU_MUST(DRIVER(cuDevicePrimaryCtxRelease)(device));
    CU_MUST(DRIVER(cuDevicePrimaryCtxRelease)(device));
    cu_expect(CUDA_ERROR_INVALID_CONTEXT, DRIVER(cuDevicePrimaryCtxRelease)(device), "released once too often");

    CU_MUST(DRIVER(cuCtxDestroy)(second));
    CU_MUST(DRIVER(cuCtxSetCurrent)(first));
    unsigned version = 0;
    CU_MUST(DRIVER(cuCtxGetApiVersion)(first, &version));
    cu_check(version > 0, "the API version of a context");
    CU_MUST(DRIVER(cuCtxDestroy)(first));
    CU_MUST(DRIVER(cuCtxGetCurrent)(&current));
    cu_check(current == nullptr, "destroying the current context leaves none");
    return cu_verdict();
}
