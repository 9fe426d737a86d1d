// What memory pools keep: release thresholds, reserved and used memory with their high marks, trimming, largest sizes.
#include "harness.h"

static const uint64_t MIB = 1 << 20;

static uint64_t attribute(cudaMemPool_t pool, cudaMemPoolAttr which) {
    uint64_t value = 0;
    MUST(cudaMemPoolGetAttribute(pool, which, &value));
    return value;
}

static void set(cudaMemPool_t pool, cudaMemPoolAttr which, uint64_t value) {
    MUST(cudaMemPoolSetAttribute(pool, which, &value));
}

static cudaMemPool_t make(size_t most) {
    cudaMemPoolProps props = {};
    props.allocType = cudaMemAllocationTypePinned;
    props.location.type = cudaMemLocationTypeDevice;
    props.maxSize = most;
    cudaMemPool_t pool;
    MUST(cudaMemPoolCreate(&pool, &props));
    return pool;
}

int main() {
    cudaStream_t stream;
    MUST(cudaStreamCreate(&stream));
    cudaMemPool_t pool = make(0);
    auto reserved = [&] { return attribute(pool, cudaMemPoolAttrReservedMemCurrent); };
    auto used = [&] { return attribute(pool, cudaMemPoolAttrUsedMemCurrent); };
    auto allocate = [&](uint64_t size) {
        void *p = nullptr;
        MUST(cudaMallocFromPoolAsync(&p, size, pool, stream));
        return p;
    };
    check(reserved() == 0 && used() == 0, "a new pool has nothing");

    // Without a threshold all goes back at the next synchronisation.
    void *a = allocate(4 * MIB);
    check(reserved() >= 4 * MIB && used() == 4 * MIB, "an allocation");
    MUST(cudaFreeAsync(a, stream));
    MUST(cudaStreamSynchronize(stream));
    check(reserved() == 0 && used() == 0, "nothing is kept");

    // With one, so much is kept.
    set(pool, cudaMemPoolAttrReleaseThreshold, 64 * MIB);
    a = allocate(4 * MIB);
    void *b = allocate(8 * MIB);
    uint64_t before = reserved();
    check(before >= 12 * MIB && used() == 12 * MIB, "two allocations");
    MUST(cudaFreeAsync(a, stream));
    MUST(cudaFreeAsync(b, stream));
    MUST(cudaStreamSynchronize(stream));
    check(reserved() == before && used() == 0, "all is kept");
    a = allocate(8 * MIB);
    check(reserved() == before && used() == 8 * MIB, "and used again");
    check(attribute(pool, cudaMemPoolAttrReservedMemHigh) == before, "the most that was reserved");
    check(attribute(pool, cudaMemPoolAttrUsedMemHigh) == 12 * MIB, "the most that was used");
    set(pool, cudaMemPoolAttrUsedMemHigh, 0);
    check(attribute(pool, cudaMemPoolAttrUsedMemHigh) == 8 * MIB, "the mark set back");

    // Trimming leaves what is used, and what is asked for.
    MUST(cudaMemPoolTrimTo(pool, 64 * MIB));
    check(reserved() == before, "nothing to trim");
    MUST(cudaMemPoolTrimTo(pool, 0));
    check(reserved() >= 8 * MIB && reserved() < before, "trimmed to what is used");
    set(pool, cudaMemPoolAttrReservedMemHigh, 0);
    check(attribute(pool, cudaMemPoolAttrReservedMemHigh) == reserved(), "the other mark set back");
    MUST(cudaFreeAsync(a, stream));
    MUST(cudaStreamSynchronize(stream));
    check(reserved() >= 8 * MIB, "kept again");
    MUST(cudaMemPoolTrimTo(pool, 0));
    check(reserved() == 0, "trimmed to nothing");

    // A pool of a largest size.
    cudaMemPool_t narrow = make(32 * MIB);
    void *c = nullptr, *d = nullptr;
    MUST(cudaMallocFromPoolAsync(&c, 24 * MIB, narrow, stream));
    expect(cudaErrorMemoryAllocation, cudaMallocFromPoolAsync(&d, 24 * MIB, narrow, stream), "more than it may hold");
    MUST(cudaFreeAsync(c, stream));
    MUST(cudaStreamSynchronize(stream));
    MUST(cudaMallocFromPoolAsync(&d, 24 * MIB, narrow, stream));
    MUST(cudaFreeAsync(d, stream));
    MUST(cudaDeviceSynchronize());
    MUST(cudaMemPoolDestroy(narrow));
    MUST(cudaMemPoolDestroy(pool));
    MUST(cudaStreamDestroy(stream));
    return verdict();
}
