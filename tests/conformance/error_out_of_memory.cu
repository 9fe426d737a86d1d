// Allocation until the memory is spent: an exact, repeatable error, and everything is back after the frees.
#include "harness.h"

__global__ void write_ends(char *p, size_t n) {
    p[0] = 17;
    p[n - 1] = 34;
}

int main() {
    void *huge = (void *)1;
    expect(cudaErrorMemoryAllocation, cudaMalloc(&huge, 1ULL << 50), "a petabyte");
    expect(cudaErrorMemoryAllocation, cudaGetLastError(), "the last error");
    expect(cudaSuccess, cudaGetLastError(), "which is then cleared");

    size_t free_before = 0, total = 0;
    MUST(cudaMemGetInfo(&free_before, &total));
    check(free_before <= total && free_before > total / 4, "most of the memory is free");

    size_t chunk = free_before / 16 / 4096 * 4096;
    std::vector<char *> chunks;
    cudaError_t last = cudaSuccess;
    while (chunks.size() < 64) {
        char *p = nullptr;
        last = cudaMalloc(&p, chunk);
        if (last != cudaSuccess) break;
        chunks.push_back(p);
    }
    expect(cudaErrorMemoryAllocation, last, "chunks until the memory is spent");
    (void)cudaGetLastError();
    check(chunks.size() >= 12 && chunks.size() <= 16, "number of chunks of a sixteenth");
    size_t free_now = 0;
    MUST(cudaMemGetInfo(&free_now, &total));
    check(free_now < chunk, "less than a chunk is left");

    // All of them can be used at both ends.
    int good = 0;
    for (char *p : chunks) {
        write_ends<<<1, 1>>>(p, chunk);
        char ends[2];
        MUST(cudaMemcpy(&ends[0], p, 1, cudaMemcpyDeviceToHost));
        MUST(cudaMemcpy(&ends[1], p + chunk - 1, 1, cudaMemcpyDeviceToHost));
        good += ends[0] == 17 && ends[1] == 34;
    }
    check(good == (int)chunks.size(), "every chunk is usable");
    for (char *p : chunks) MUST(cudaFree(p));
    size_t free_after = 0;
    MUST(cudaMemGetInfo(&free_after, &total));
    check(free_after + (8 << 20) >= free_before, "the memory is back");
    char *again = nullptr;
    expect(cudaSuccess, cudaMalloc(&again, chunk), "and can be allocated again");
    MUST(cudaFree(again));
    return verdict();
}
