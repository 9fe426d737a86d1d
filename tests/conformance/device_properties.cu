// The properties that hold for every device from compute capability 7.5 on, and the ways to ask for them.
#include "harness.h"

static int attribute(cudaDeviceAttr which) {
    int value = -1;
    MUST(cudaDeviceGetAttribute(&value, which, 0));
    return value;
}

int main() {
    int count = 0, runtime = 0, driver = 0, current = -1;
    MUST(cudaGetDeviceCount(&count));
    check(count >= 1, "at least one device");
    MUST(cudaRuntimeGetVersion(&runtime));
    MUST(cudaDriverGetVersion(&driver));
    printf("runtime version: %d\n", runtime);
    check(driver >= runtime, "driver is not older than the runtime");
    MUST(cudaGetDevice(&current));
    printf("current device: %d\n", current);

    cudaDeviceProp p;
    MUST(cudaGetDeviceProperties(&p, 0));
    check(strlen(p.name) > 0 && strlen(p.name) < sizeof p.name, "has a name");
    check(p.major * 10 + p.minor >= 75, "compute capability 7.5 or higher");
    check(p.totalGlobalMem >= (64u << 20), "at least 64 MiB of memory");
    check(p.multiProcessorCount > 0, "has multiprocessors");
    printf("warp size: %d\n", p.warpSize);
    printf("threads per block: %d\n", p.maxThreadsPerBlock);
    printf("block: %d x %d x %d\n", p.maxThreadsDim[0], p.maxThreadsDim[1], p.maxThreadsDim[2]);
    printf("grid: %d x %d x %d\n", p.maxGridSize[0], p.maxGridSize[1], p.maxGridSize[2]);
    printf("shared memory per block: %zu\n", p.sharedMemPerBlock);
    printf("registers per block: %d\n", p.regsPerBlock);
    printf("constant memory: %zu\n", p.totalConstMem);
    printf("unified addressing: %d\n", p.unifiedAddressing);
    printf("concurrent kernels: %d\n", p.concurrentKernels);
    check(p.sharedMemPerBlockOptin >= 65536, "64 KiB of shared memory on request");
    check(p.maxThreadsPerMultiProcessor >= 1024, "1024 threads per multiprocessor");

    check(attribute(cudaDevAttrWarpSize) == p.warpSize, "attribute: warp size");
    check(attribute(cudaDevAttrMaxThreadsPerBlock) == p.maxThreadsPerBlock, "attribute: threads per block");
    check(attribute(cudaDevAttrMaxBlockDimZ) == p.maxThreadsDim[2], "attribute: block z");
    check(attribute(cudaDevAttrMaxGridDimX) == p.maxGridSize[0], "attribute: grid x");
    check(attribute(cudaDevAttrComputeCapabilityMajor) == p.major, "attribute: major");
    check(attribute(cudaDevAttrComputeCapabilityMinor) == p.minor, "attribute: minor");
    check(attribute(cudaDevAttrMultiProcessorCount) == p.multiProcessorCount, "attribute: multiprocessors");
    check(attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin) == (int)p.sharedMemPerBlockOptin,
          "attribute: shared memory on request");

    char bus[32] = "";
    int same = -1;
    MUST(cudaDeviceGetPCIBusId(bus, sizeof bus, 0));
    MUST(cudaDeviceGetByPCIBusId(&same, bus));
    printf("device found by its PCI bus id: %d\n", same);

    size_t stack = 0;
    MUST(cudaDeviceGetLimit(&stack, cudaLimitStackSize));
    printf("default stack size: %zu\n", stack);
    int least = -1, greatest = 1;
    MUST(cudaDeviceGetStreamPriorityRange(&least, &greatest));
    check(least == 0 && greatest <= 0, "stream priorities go from 0 down");
    return verdict();
}
