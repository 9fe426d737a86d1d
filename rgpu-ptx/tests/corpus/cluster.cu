// Clusters and vector atomics.
#include <cooperative_groups.h>
namespace cg = cooperative_groups;
__global__ void __cluster_dims__(2,1,1) k(int* o) {
  __shared__ int s[32]; auto c = cg::this_cluster(); s[threadIdx.x] = threadIdx.x; c.sync();
  int* r = c.map_shared_rank(s, c.block_rank() ^ 1); o[threadIdx.x] = r[threadIdx.x]; c.sync();
}
__global__ void vatom(float4* x, float2* y) { atomicAdd(x, make_float4(1,2,3,4)); atomicAdd(y, make_float2(1,2)); }
__global__ void cas128(unsigned __int128* p) { atomicCAS(p, (unsigned __int128)1, (unsigned __int128)2); }
