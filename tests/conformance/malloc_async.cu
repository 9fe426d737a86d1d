// Stream-ordered allocation: memory that lives between two points of a stream, pools and their attributes.
#include "harness.h"

__global__ void fill(int *data, int n, int value) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) data[i] = value + i;
}

__global__ void accumulate(const int *data, int n, unsigned long long *sum) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) atomicAdd(sum, (unsigned long long)data[i]);
}

static unsigned long long attribute(cudaMemPool_t pool, cudaMemPoolAttr which) {
    uint64_t value = 0;
    MUST(cudaMemPoolGetAttribute(pool, which, &value));
    return value;
}

int main() {
    int supported = 0;
    MUST(cudaDeviceGetAttribute(&supported, cudaDevAttrMemoryPoolsSupported, 0));
    printf("pools supported: %d\n", supported);
    cudaStream_t stream, second;
    MUST(cudaStreamCreate(&stream));
    MUST(cudaStreamCreate(&second));
    Device<unsigned long long> sum(1);
    sum.zero();
    unsigned long long want = 0;
    for (int round = 0; round < 20; round++) {
        int n = 1000 + 100 * round, *data = nullptr;
        MUST(cudaMallocAsync(&data, n * sizeof(int), stream));
        fill<<<(n + 127) / 128, 128, 0, stream>>>(data, n, round);
        accumulate<<<(n + 127) / 128, 128, 0, stream>>>(data, n, sum);
        MUST(cudaFreeAsync(data, stream));
        for (int i = 0; i < n; i++) want += round + i;
    }
    MUST(cudaStreamSynchronize(stream));
    printf("sum: %llu\n", sum.host()[0]);
    check(sum.host()[0] == want, "twenty allocations in a stream");

    cudaMemPool_t pool, standard, current;
    cudaMemPoolProps props = {};
    props.allocType = cudaMemAllocationTypePinned;
    props.location.type = cudaMemLocationTypeDevice;
    props.location.id = 0;
    MUST(cudaMemPoolCreate(&pool, &props));
    MUST(cudaDeviceGetDefaultMemPool(&standard, 0));
    MUST(cudaDeviceGetMemPool(&current, 0));
    check(standard == current && pool != standard, "the default pool is the current one");
    uint64_t keep = 1 << 20;
    MUST(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &keep));
    printf("release threshold: %llu\n", attribute(pool, cudaMemPoolAttrReleaseThreshold));

    int *a = nullptr, *b = nullptr;
    MUST(cudaMallocFromPoolAsync(&a, 100000, pool, stream));
    MUST(cudaMallocFromPoolAsync(&b, 50000, pool, stream));
    check(attribute(pool, cudaMemPoolAttrUsedMemCurrent) >= 150000, "used while allocated");
    fill<<<10, 128, 0, stream>>>(a, 1280, 5);

    // Another stream may use the memory once an event orders it behind the allocation.
    cudaEvent_t ready;
    MUST(cudaEventCreateWithFlags(&ready, cudaEventDisableTiming));
    MUST(cudaEventRecord(ready, stream));
    MUST(cudaStreamWaitEvent(second, ready, 0));
    sum.zero();
    accumulate<<<10, 128, 0, second>>>(a, 1280, sum);
    MUST(cudaFreeAsync(a, second));
    MUST(cudaFreeAsync(b, stream));
    MUST(cudaDeviceSynchronize());
    printf("sum by the second stream: %llu\n", sum.host()[0]);
    printf("used after the frees: %llu\n", attribute(pool, cudaMemPoolAttrUsedMemCurrent));
    check(attribute(pool, cudaMemPoolAttrUsedMemHigh) >= 150000, "high-water mark");
    MUST(cudaMemPoolTrimTo(pool, 0));
    printf("reserved after a trim: %llu\n", attribute(pool, cudaMemPoolAttrReservedMemCurrent));
    MUST(cudaMemPoolDestroy(pool));

    // Memory of a pool can also be freed by cudaFree.
    int *c = nullptr;
    MUST(cudaMallocAsync(&c, 4096, stream));
    MUST(cudaMemsetAsync(c, 0, 4096, stream));
    MUST(cudaStreamSynchronize(stream));
    MUST(cudaFree(c));
    MUST(cudaEventDestroy(ready));
    MUST(cudaStreamDestroy(stream));
    MUST(cudaStreamDestroy(second));
    return verdict();
}
