// What cudaMemGetInfo says as memory comes and goes, and a reset of the device, after which all starts anew.
#include "harness.h"

static size_t free_memory() {
    size_t free = 0, total = 0;
    MUST(cudaMemGetInfo(&free, &total));
    return free;
}

__device__ int state = 11;
__global__ void raise(int *p) { *p += ++state; }

int main() {
    size_t total = 0, start = 0;
    MUST(cudaMemGetInfo(&start, &total));
    check(start > 0 && start <= total, "free and total");
    cudaDeviceProp p;
    MUST(cudaGetDeviceProperties(&p, 0));
    check(p.totalGlobalMem == total, "total, as the properties say");
    const size_t block = 16 << 20;
    void *blocks[3];
    for (int i = 0; i < 3; i++) MUST(cudaMalloc(&blocks[i], block));
    size_t used = start - free_memory();
    check(used >= 3 * block && used < 3 * block + (8 << 20), "48 MiB are used");
    MUST(cudaFree(blocks[1]));
    used = start - free_memory();
    check(used >= 2 * block && used < 2 * block + (8 << 20), "32 MiB after a free");
    // Small allocations share pages.
    std::vector<void *> small(1000);
    for (void *&s : small) MUST(cudaMalloc(&s, 100));
    size_t with_small = start - free_memory();
    check(with_small - used <= 4 << 20, "a thousand small allocations cost little");
    for (void *s : small) MUST(cudaFree(s));

    int *d = nullptr, h = 0;
    MUST(cudaMalloc(&d, sizeof(int)));
    MUST(cudaMemset(d, 0, sizeof(int)));
    raise<<<1, 1>>>(d);
    raise<<<1, 1>>>(d);
    MUST(cudaMemcpy(&h, d, sizeof h, cudaMemcpyDeviceToHost));
    printf("before the reset: %d\n", h);
    MUST(cudaDeviceReset());
    check(free_memory() + (8 << 20) >= start, "the reset freed everything");
    MUST(cudaMalloc(&d, sizeof(int)));
    MUST(cudaMemset(d, 0, sizeof(int)));
    raise<<<1, 1>>>(d);
    MUST(cudaMemcpy(&h, d, sizeof h, cudaMemcpyDeviceToHost));
    printf("after the reset: %d\n", h);
    MUST(cudaDeviceReset());
    return verdict();
}
