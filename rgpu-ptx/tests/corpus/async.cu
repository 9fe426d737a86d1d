// libcu++ barriers, pipelines and atomics.
#include <cuda/barrier>
#include <cuda/pipeline>
#include <cuda/atomic>
#include <cooperative_groups.h>
__global__ void k(const int* in, int* out, cuda::atomic<int, cuda::thread_scope_device>* a) {
  __shared__ int s[256];
#pragma nv_diag_suppress static_var_with_dynamic_init
  __shared__ cuda::barrier<cuda::thread_scope_block> bar;
  if (threadIdx.x == 0) init(&bar, blockDim.x);
  __syncthreads();
  cuda::memcpy_async(s + threadIdx.x, in + threadIdx.x, cuda::aligned_size_t<4>(4), bar);
  bar.arrive_and_wait();
  out[threadIdx.x] = s[255 - threadIdx.x];
  a->fetch_add(1, cuda::memory_order_relaxed); a->store(3, cuda::memory_order_release); out[1] = a->load(cuda::memory_order_acquire); int e = 3; a->compare_exchange_strong(e, 4); a->wait(2); a->fetch_max(3);
  cuda::atomic_ref<float, cuda::thread_scope_block> r(*(float*)(out + 4)); r.fetch_add(1.f);
  cuda::atomic_thread_fence(cuda::memory_order_seq_cst, cuda::thread_scope_system);
}
