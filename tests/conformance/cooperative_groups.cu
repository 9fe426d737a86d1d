// Cooperative groups inside a block: tiles of every size, coalesced threads, collectives.
// also: compute_80 compute_90
#include "harness.h"

#include <cooperative_groups.h>
#include <cooperative_groups/reduce.h>
#include <cooperative_groups/scan.h>

namespace cg = cooperative_groups;

template <int SIZE>
__global__ void tile_sums(const int *in, int *out) {
    cg::thread_block block = cg::this_thread_block();
    auto tile = cg::tiled_partition<SIZE>(block);
    int v = in[block.thread_rank()];
    for (int d = tile.size() / 2; d > 0; d /= 2) v += tile.shfl_down(v, d);
    if (tile.thread_rank() == 0) out[block.thread_rank() / SIZE] = v;
}

__global__ void collectives(const int *in, int *out) {
    cg::thread_block block = cg::this_thread_block();
    auto warp = cg::tiled_partition<32>(block);
    int v = in[block.thread_rank()];
    int sum = cg::reduce(warp, v, cg::plus<int>());
    int most = cg::reduce(warp, v, cg::greater<int>());
    int before = cg::exclusive_scan(warp, v);
    if (block.thread_rank() == 37) {
        out[0] = sum;
        out[1] = most;
        out[2] = before;
        out[3] = warp.meta_group_rank() * 100 + warp.meta_group_size();
        out[4] = block.group_index().x * 1000 + block.size();
    }
}

// One atomic for each group of threads that happen to run together: the groups may be of any size.
__global__ void coalesced(const int *in, int *out, int *count) {
    int v = in[threadIdx.x];
    if (v % 3 == 0) {
        cg::coalesced_group active = cg::coalesced_threads();
        int base = 0;
        if (active.thread_rank() == 0) base = atomicAdd(count, (int)active.size());
        out[active.shfl(base, 0) + active.thread_rank()] = v;
    }
}

__global__ void votes(const int *in, unsigned *out) {
    cg::thread_block block = cg::this_thread_block();
    auto tile = cg::tiled_partition<8>(block);
    int v = in[block.thread_rank()];
    unsigned b = tile.ballot(v & 1);
    int any = tile.any(v == 35), all = tile.all(v >= 0);
    tile.sync();
    if (tile.thread_rank() == 3) out[block.thread_rank() / 8] = b | any << 8 | all << 9;
}

int main() {
    const int n = 128;
    std::vector<int> in(n);
    for (int i = 0; i < n; i++) in[i] = (i * 7 + 3) % 41;
    Device<int> din(in), out(n);
    auto sums = [&](const char *name, int size) {
        std::vector<int> h = out.host();
        bool good = true;
        for (int g = 0; g < n / size; g++) {
            int want = 0;
            for (int i = 0; i < size; i++) want += in[g * size + i];
            good &= h[g] == want;
        }
        printf("tiles of %s: first %d, last %d", name, h[0], h[n / size - 1]);
        check(good, "");
    };
    tile_sums<32><<<1, n>>>(din, out);
    sums("32", 32);
    tile_sums<16><<<1, n>>>(din, out);
    sums("16", 16);
    tile_sums<8><<<1, n>>>(din, out);
    sums("8", 8);
    tile_sums<4><<<1, n>>>(din, out);
    sums("4", 4);
    tile_sums<2><<<1, n>>>(din, out);
    sums("2", 2);

    collectives<<<1, n>>>(din, out);
    std::vector<int> h = out.host();
    printf("reduce: sum %d, maximum %d; exclusive scan at lane 5: %d; ranks %d %d\n", h[0], h[1], h[2], h[3], h[4]);
    Device<int> count(1);
    count.zero();
    coalesced<<<1, n>>>(din, out, count);
    h = out.host();
    int kept = count.host()[0], sum = 0;
    for (int i = 0; i < kept && i < n; i++) sum += h[i];
    printf("kept by coalesced groups: %d with sum %d\n", kept, sum);
    Device<unsigned> bits(16);
    votes<<<1, n>>>(din, bits);
    for (unsigned b : bits.host()) printf("%03x ", b);
    printf("\n");
    MUST(cudaGetLastError());
    return verdict();
}
