// Cooperative groups: partitions, reductions, scans, grid barrier, asynchronous copies.
#include <cooperative_groups.h>
#include <cooperative_groups/reduce.h>
#include <cooperative_groups/scan.h>
#include <cooperative_groups/memcpy_async.h>
#include <cstdio>
namespace cg = cooperative_groups;
__global__ void reduce(const int* in, int* out, int n) {
  cg::thread_block b = cg::this_thread_block();
  auto tile = cg::tiled_partition<16>(b);
  int v = 0;
  for (int i = cg::this_grid().thread_rank(); i < n; i += cg::this_grid().size()) v += in[i];
  v = cg::reduce(tile, v, cg::plus<int>());
  int s = cg::inclusive_scan(tile, v);
  auto co = cg::coalesced_threads();
  if (co.thread_rank() == 0) atomicAdd(out, s);
  b.sync();
  if (tile.any(v > 3)) printf("hi %d %f\n", v, 1.5);
  tile.shfl_xor(v, 1);
  out[1 + b.thread_rank()] = tile.match_any(v);
}
__global__ void gridsync(float* x) {
  auto g = cg::this_grid();
  x[g.thread_rank()] += 1; g.sync(); x[g.thread_rank()] *= 2;
}
__global__ void copyasync(const float4* in, float4* out) {
  __shared__ float4 s[128];
  auto b = cg::this_thread_block();
  cg::memcpy_async(b, s, in + blockIdx.x * 128, sizeof(s));
  cg::wait(b);
  out[blockIdx.x * 128 + threadIdx.x] = s[127 - threadIdx.x];
}
