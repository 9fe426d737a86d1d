// A cooperative launch: all blocks meet at a grid barrier, several times, and too large a grid is refused.
#include "harness.h"

#include <cooperative_groups.h>

namespace cg = cooperative_groups;

// Each step sums neighbours of the whole array; without the barrier blocks would read old and new values mixed.
__global__ void relax(int *a, int *b, int n, int steps) {
    cg::grid_group grid = cg::this_grid();
    int i = grid.thread_rank();
    for (int s = 0; s < steps; s++) {
        if (i < n) b[i] = (a[(i + 1) % n] + a[(i + n - 1) % n]) % 1000003;
        grid.sync();
        int *swap = a;
        a = b;
        b = swap;
    }
}

int main() {
    int supported = 0;
    MUST(cudaDeviceGetAttribute(&supported, cudaDevAttrCooperativeLaunch, 0));
    printf("cooperative launch supported: %d\n", supported);
    int blocks = 4, threads = 64, n = blocks * threads, steps = 20;
    std::vector<int> h(n), next(n);
    for (int i = 0; i < n; i++) h[i] = i * i % 997;
    Device<int> a(h), b(n);
    void *arguments[] = {&a.ptr, &b.ptr, &n, &steps};
    MUST(cudaLaunchCooperativeKernel((void *)relax, blocks, threads, arguments, 0, 0));
    MUST(cudaDeviceSynchronize());
    for (int s = 0; s < steps; s++) {
        for (int i = 0; i < n; i++) next[i] = (h[(i + 1) % n] + h[(i + n - 1) % n]) % 1000003;
        h.swap(next);
    }
    std::vector<int> got = a.host();
    printf("after %d steps: %d %d %d\n", steps, got[0], got[100], got[255]);
    check(got == h, "grid barrier");

    cudaLaunchConfig_t config = {};
    cudaLaunchAttribute attribute = {};
    attribute.id = cudaLaunchAttributeCooperative;
    attribute.val.cooperative = 1;
    config.gridDim = blocks;
    config.blockDim = threads;
    config.attrs = &attribute;
    config.numAttrs = 1;
    MUST(cudaLaunchKernelEx(&config, relax, a.ptr, b.ptr, n, 2));
    MUST(cudaDeviceSynchronize());
    for (int s = 0; s < 2; s++) {
        for (int i = 0; i < n; i++) next[i] = (h[(i + 1) % n] + h[(i + n - 1) % n]) % 1000003;
        h.swap(next);
    }
    check(a.host() == h, "cooperative by launch attribute");

    blocks = 1 << 20;
    expect(cudaErrorCooperativeLaunchTooLarge, cudaLaunchCooperativeKernel((void *)relax, blocks, 1024, arguments, 0, 0),
           "a grid that cannot be resident");
    (void)cudaGetLastError();
    return verdict();
}
