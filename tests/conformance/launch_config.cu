// Launches by cudaLaunchKernelEx and large grids: three dimensions, many blocks, many streams' worth of shapes.
#include "harness.h"

__global__ void coordinates(unsigned long long *sum, unsigned *count) {
    unsigned long long b = blockIdx.x + 1000ULL * blockIdx.y + 1000000ULL * blockIdx.z;
    unsigned t = threadIdx.x + threadIdx.y * blockDim.x + threadIdx.z * blockDim.x * blockDim.y;
    if (t == blockDim.x * blockDim.y * blockDim.z - 1) {
        atomicAdd(sum, b * (t + 1));
        atomicAdd(count, 1u);
    }
}

__global__ void empty() {}

static void run(dim3 grid, dim3 block) {
    Device<unsigned long long> sum(1);
    Device<unsigned> count(1);
    sum.zero();
    count.zero();
    cudaLaunchConfig_t config = {};
    config.gridDim = grid;
    config.blockDim = block;
    MUST(cudaLaunchKernelEx(&config, coordinates, sum.ptr, count.ptr));
    unsigned long long want = 0, threads = block.x * block.y * block.z, blocks = (unsigned long long)grid.x * grid.y * grid.z;
    for (unsigned z = 0; z < grid.z; z++)
        for (unsigned y = 0; y < grid.y; y++)
            for (unsigned x = 0; x < grid.x; x++) want += (x + 1000ULL * y + 1000000ULL * z) * threads;
    printf("%u x %u x %u blocks of %u x %u x %u", grid.x, grid.y, grid.z, block.x, block.y, block.z);
    check(count.host()[0] == blocks && sum.host()[0] == want, "");
}

int main() {
    run(1, 1);
    run(dim3(5, 3, 2), dim3(4, 4, 4));
    run(dim3(1, 1, 100), dim3(1, 1, 64));
    run(dim3(7, 11), dim3(33, 5));
    run(3, 1024);
    run(20000, 32);
    run(dim3(1, 3000), dim3(1, 7));
    empty<<<dim3(65536, 2), 1>>>();
    expect(cudaSuccess, cudaDeviceSynchronize(), "131072 blocks of nothing");
    return verdict();
}
