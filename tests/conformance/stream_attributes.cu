// Attributes of streams, their numbers and priorities; events of whole contexts; clusters of one block.
#include "driver.h"
#include "ptx_text.h"

#include <cstring>

static int priority_of(CUstream stream) {
    int priority = 99;
    CU_MUST(DRIVER(cuStreamGetPriority)(stream, &priority));
    return priority;
}

int main() {
    CU_MUST(DRIVER(cuInit)(0));
    CUcontext context, other;
    CU_MUST(DRIVER(cuCtxCreate)(&other, nullptr, 0, 0));
    CU_MUST(DRIVER(cuCtxCreate)(&context, nullptr, 0, 0));
    int least = 0, greatest = 0;
    CU_MUST(DRIVER(cuCtxGetStreamPriorityRange)(&least, &greatest));
    cu_check(least == 0 && greatest < 0, "there are priorities");

    CUstream low, high, far;
    CU_MUST(DRIVER(cuStreamCreateWithPriority)(&low, CU_STREAM_NON_BLOCKING, least));
    CU_MUST(DRIVER(cuStreamCreateWithPriority)(&high, CU_STREAM_NON_BLOCKING, greatest));
    CU_MUST(DRIVER(cuStreamCreateWithPriority)(&far, 0, greatest - 100));
    cu_check(priority_of(low) == least && priority_of(high) == greatest, "priorities of streams");
    cu_check(priority_of(far) == greatest, "out of range is brought into it");
    cu_check(priority_of(nullptr) == least, "the default stream has the least");

    CUstreamAttrValue value;
    memset(&value, 0, sizeof value);
    CU_MUST(DRIVER(cuStreamGetAttribute)(high, CU_STREAM_ATTRIBUTE_PRIORITY, &value));
    cu_check(value.priority == greatest, "the priority is an attribute");
    CU_MUST(DRIVER(cuStreamGetAttribute)(low, CU_STREAM_ATTRIBUTE_SYNCHRONIZATION_POLICY, &value));
    printf("synchronization policy: %d\n", (int)value.syncPolicy);
    value.syncPolicy = CU_SYNC_POLICY_YIELD;
    CU_MUST(DRIVER(cuStreamSetAttribute)(low, CU_STREAM_ATTRIBUTE_SYNCHRONIZATION_POLICY, &value));
    value.priority = greatest;
    CU_MUST(DRIVER(cuStreamSetAttribute)(low, CU_STREAM_ATTRIBUTE_PRIORITY, &value));
    cu_check(priority_of(low) == greatest, "the priority is set");
    CUstream copy;
    CU_MUST(DRIVER(cuStreamCreate)(&copy, 0));
    cu_check(priority_of(copy) == least, "a plain stream has the least");
    CU_MUST(DRIVER(cuStreamCopyAttributes)(copy, low));
    CU_MUST(DRIVER(cuStreamGetAttribute)(copy, CU_STREAM_ATTRIBUTE_SYNCHRONIZATION_POLICY, &value));
    printf("synchronization policy of the copy: %d\n", (int)value.syncPolicy);
    cu_check(priority_of(copy) == greatest, "and the priority");
    memset(&value, 0, sizeof value);
    value.syncPolicy = (CUsynchronizationPolicy)77;
    cu_expect(CUDA_ERROR_INVALID_VALUE,
              DRIVER(cuStreamSetAttribute)(low, CU_STREAM_ATTRIBUTE_SYNCHRONIZATION_POLICY, &value),
              "no such policy");
    cu_expect(CUDA_ERROR_INVALID_VALUE,
              DRIVER(cuStreamGetAttribute)(low, CU_LAUNCH_ATTRIBUTE_COOPERATIVE, &value), "not of streams");

    // Numbers of streams: never the same for two, default streams of contexts included.
    unsigned long long numbers[4];
    CU_MUST(DRIVER(cuStreamGetId)(low, &numbers[0]));
    CU_MUST(DRIVER(cuStreamGetId)(high, &numbers[1]));
    CU_MUST(DRIVER(cuStreamGetId)(nullptr, &numbers[2]));
    CU_MUST(DRIVER(cuCtxSetCurrent)(other));
    CU_MUST(DRIVER(cuStreamGetId)(nullptr, &numbers[3]));
    CUstream theirs;
    CU_MUST(DRIVER(cuStreamCreate)(&theirs, CU_STREAM_NON_BLOCKING));
    cu_expect(CUDA_ERROR_INVALID_VALUE, DRIVER(cuStreamCopyAttributes)(theirs, low), "streams of two contexts");
    CU_MUST(DRIVER(cuCtxSetCurrent)(context));
    bool distinct = true;
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < i; j++) distinct = distinct && numbers[i] != numbers[j];
    cu_check(distinct, "numbers of streams");

    // Everything of one context before anything later of the other: twenty times 2 * 1 + 0.5.
    CUmodule module;
    CUfunction axpy;
    CU_MUST(DRIVER(cuModuleLoadData)(&module, AXPY_PTX));
    CU_MUST(DRIVER(cuModuleGetFunction)(&axpy, module, "axpy"));
    const unsigned n = 100000;
    CUdeviceptr x, y;
    CU_MUST(DRIVER(cuMemAlloc)(&x, n * 4));
    CU_MUST(DRIVER(cuMemAlloc)(&y, n * 4));
    CU_MUST(DRIVER(cuMemsetD32Async)(x, 0x3f800000, n, low));
    CU_MUST(DRIVER(cuMemsetD32Async)(y, 0, n, low));
    float a = 2;
    unsigned count = n;
    void *arguments[] = {&x, &y, &a, &count};
    for (int i = 0; i < 20; i++)
        CU_MUST(DRIVER(cuLaunchKernel)(axpy, (n + 127) / 128, 1, 1, 128, 1, 1, 0, low, arguments, nullptr));
    CUevent all, foreign;
    CU_MUST(DRIVER(cuEventCreate)(&all, 0));
    CU_MUST(DRIVER(cuCtxRecordEvent)(context, all));
    CU_MUST(DRIVER(cuCtxSetCurrent)(other));
    CU_MUST(DRIVER(cuEventCreate)(&foreign, 0));
    CU_MUST(DRIVER(cuCtxWaitEvent)(other, all));
    float last = 0;
    CU_MUST(DRIVER(cuMemcpyDtoHAsync)(&last, y + (n - 1) * 4, 4, theirs));
    CU_MUST(DRIVER(cuStreamSynchronize)(theirs));
    printf("seen behind the context: %g\n", last);
    CU_MUST(DRIVER(cuCtxSetCurrent)(context));
    CU_MUST(DRIVER(cuEventSynchronize)(all));

    // Clusters of one block fill the device; others there are not below capability 9, and here not at all.
    CUlaunchConfig config;
    memset(&config, 0, sizeof config);
    config.gridDimX = config.gridDimY = config.gridDimZ = 1;
    config.blockDimX = 128;
    config.blockDimY = config.blockDimZ = 1;
    CUlaunchAttribute attribute;
    memset(&attribute, 0, sizeof attribute);
    attribute.id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION;
    attribute.value.clusterDim.x = attribute.value.clusterDim.y = attribute.value.clusterDim.z = 1;
    config.attrs = &attribute;
    config.numAttrs = 1;
    int clusters = 0, blocks = 0, multiprocessors = 0;
    CU_MUST(DRIVER(cuOccupancyMaxActiveClusters)(&clusters, axpy, &config));
    CU_MUST(DRIVER(cuOccupancyMaxActiveBlocksPerMultiprocessor)(&blocks, axpy, 128, 0));
    CU_MUST(DRIVER(cuDeviceGetAttribute)(&multiprocessors, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, 0));
    cu_check(blocks > 0 && clusters == blocks * multiprocessors, "clusters of one block");
    config.numAttrs = 0;
    cu_expect(CUDA_ERROR_INVALID_CLUSTER_SIZE, DRIVER(cuOccupancyMaxActiveClusters)(&clusters, axpy, &config),
              "clusters of no size");

    // A launch with a priority of its own, in the range and beyond it: twice 2 * 1 + 0.5 more than 1.
    CUdeviceptr ones, sums;
    const unsigned one = 0x3f800000;
    CU_MUST(DRIVER(cuMemAlloc)(&ones, 512));
    CU_MUST(DRIVER(cuMemAlloc)(&sums, 512));
    CU_MUST(DRIVER(cuMemsetD32)(ones, one, 128));
    CU_MUST(DRIVER(cuMemsetD32)(sums, one, 128));
    count = 128;
    void *own[] = {&ones, &sums, &a, &count};
    attribute.id = CU_LAUNCH_ATTRIBUTE_PRIORITY;
    config.numAttrs = 1;
    for (int priority : {greatest, greatest - 100}) {
        attribute.value.priority = priority;
        CU_MUST(DRIVER(cuLaunchKernelEx)(&config, axpy, own, nullptr));
    }
    float sum = 0;
    CU_MUST(DRIVER(cuMemcpyDtoH)(&sum, sums + 508, 4));
    cu_check(sum == 6, "launches of a priority of their own");

    size_t limit = 0;
    cu_expect(CUDA_ERROR_UNSUPPORTED_LIMIT, DRIVER(cuCtxGetLimit)(&limit, CU_LIMIT_CIG_ENABLED), "a limit of graphics");
    CU_MUST(DRIVER(cuCtxDestroy)(context));
    CU_MUST(DRIVER(cuCtxDestroy)(other));
    return cu_verdict();
}
