// The driver API from the beginning: device, context, PTX text, function, launch in both forms, module variables.
#include "driver.h"
#include "ptx_text.h"

#include <chrono>
#include <cstring>
#include <thread>
#include <vector>

// Long enough that the calls behind it find it running.
static void CUDA_CB slowly(void *called) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    ++*static_cast<int *>(called);
}

int main() {
    CU_MUST(DRIVER(cuInit)(0));
    int version = 0, count = 0;
    CU_MUST(DRIVER(cuDriverGetVersion)(&version));
    cu_check(version >= 13000, "driver version 13.0 or higher");
    CU_MUST(DRIVER(cuDeviceGetCount)(&count));
    cu_check(count >= 1, "at least one device");
    CUdevice device;
    CU_MUST(DRIVER(cuDeviceGet)(&device, 0));
    char name[100] = "";
    CU_MUST(DRIVER(cuDeviceGetName)(name, sizeof name, device));
    cu_check(strlen(name) > 0, "has a name");
    size_t memory = 0;
    CU_MUST(DRIVER(cuDeviceTotalMem)(&memory, device));
    cu_check(memory > 0, "has memory");
    int warp = 0;
    CU_MUST(DRIVER(cuDeviceGetAttribute)(&warp, CU_DEVICE_ATTRIBUTE_WARP_SIZE, device));
    printf("warp size: %d\n", warp);
    CUcontext context;
    CU_MUST(DRIVER(cuDevicePrimaryCtxRetain)(&context, device));
    CU_MUST(DRIVER(cuCtxSetCurrent)(context));

    CUmodule module;
    CU_MUST(DRIVER(cuModuleLoadData)(&module, AXPY_PTX));
    CUfunction axpy, counter;
    CU_MUST(DRIVER(cuModuleGetFunction)(&axpy, module, "axpy"));
    CU_MUST(DRIVER(cuModuleGetFunction)(&counter, module, "count"));

    const unsigned n = 1000;
    std::vector<float> x(n), y(n);
    for (unsigned i = 0; i < n; i++) x[i] = i, y[i] = 2.0f * i;
    CUdeviceptr dx, dy;
    CU_MUST(DRIVER(cuMemAlloc)(&dx, n * 4));
    CU_MUST(DRIVER(cuMemAlloc)(&dy, n * 4));
    CU_MUST(DRIVER(cuMemcpyHtoD)(dx, x.data(), n * 4));
    CU_MUST(DRIVER(cuMemcpyHtoD)(dy, y.data(), n * 4));
    float a = 3;
    unsigned length = n;
    void *arguments[] = {&dx, &dy, &a, &length};
    CU_MUST(DRIVER(cuLaunchKernel)(axpy, (n + 127) / 128, 1, 1, 128, 1, 1, 0, nullptr, arguments, nullptr));

    // The same once more, with the parameters packed into one buffer.
    struct {
        CUdeviceptr x, y;
        float a;
        unsigned n;
    } packed = {dx, dy, 10, n / 2};
    size_t size = sizeof packed;
    void *extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, &packed, CU_LAUNCH_PARAM_BUFFER_SIZE, &size, CU_LAUNCH_PARAM_END};
    CUstream stream;
    CU_MUST(DRIVER(cuStreamCreate)(&stream, CU_STREAM_DEFAULT));
    CU_MUST(DRIVER(cuLaunchKernel)(axpy, (n + 127) / 128, 1, 1, 128, 1, 1, 0, stream, nullptr, extra));
    CU_MUST(DRIVER(cuStreamSynchronize)(stream));
    CU_MUST(DRIVER(cuMemcpyDtoH)(y.data(), dy, n * 4));
    printf("y[1] = %g, y[499] = %g, y[500] = %g, y[999] = %g\n", y[1], y[499], y[500], y[999]);

    for (int i = 0; i < 5; i++)
        CU_MUST(DRIVER(cuLaunchKernel)(counter, 1, 1, 1, 1, 1, 1, 0, stream, nullptr, nullptr));
    CU_MUST(DRIVER(cuStreamSynchronize)(stream));
    CUdeviceptr calls;
    CU_MUST(DRIVER(cuModuleGetGlobal)(&calls, &size, module, "calls"));
    unsigned value = 0;
    CU_MUST(DRIVER(cuMemcpyDtoH)(&value, calls, 4));
    printf("calls: %u, in %zu bytes\n", value, size);
    CU_MUST(DRIVER(cuModuleGetGlobal)(&calls, nullptr, module, "offset"));
    a = 100;
    CU_MUST(DRIVER(cuMemcpyHtoD)(calls, &a, 4));
    CU_MUST(DRIVER(cuLaunchKernel)(axpy, 1, 1, 1, 1, 1, 1, 0, stream, arguments, nullptr));
    CU_MUST(DRIVER(cuStreamSynchronize)(stream));
    CU_MUST(DRIVER(cuMemcpyDtoH)(y.data(), dy, 4));
    printf("y[0] with another offset: %g\n", y[0]);

    CU_MUST(DRIVER(cuMemsetD32)(dx, 0x40490fdb, n));
    CU_MUST(DRIVER(cuMemsetD8)(dx, 0, 4));
    CU_MUST(DRIVER(cuMemsetD16)(dx + 8, 0x4000, 3));
    CU_MUST(DRIVER(cuMemcpyDtoH)(x.data(), dx, n * 4));
    printf("sets: %g %g %g %.6f\n", x[0], x[1], x[2], x[999]);
    CUdeviceptr base;
    CU_MUST(DRIVER(cuMemGetAddressRange)(&base, &size, dx + 100));
    cu_check(base == dx && size == n * 4, "address range");

    int threads = 0;
    CU_MUST(DRIVER(cuFuncGetAttribute)(&threads, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, axpy));
    printf("threads of a block at most: %d\n", threads);

    // A module may go while a stream is in a function of the host.
    int called = 0;
    CU_MUST(DRIVER(cuLaunchKernel)(axpy, 1, 1, 1, 1, 1, 1, 0, stream, arguments, nullptr));
    CU_MUST(DRIVER(cuLaunchHostFunc)(stream, slowly, &called));
    CU_MUST(DRIVER(cuModuleUnload)(module));
    CU_MUST(DRIVER(cuStreamSynchronize)(stream));
    printf("called: %d\n", called);
    CU_MUST(DRIVER(cuStreamDestroy)(stream));
    CU_MUST(DRIVER(cuMemFree)(dx));
    CU_MUST(DRIVER(cuMemFree)(dy));
    CU_MUST(DRIVER(cuDevicePrimaryCtxRelease)(device));
    return cu_verdict();
}
