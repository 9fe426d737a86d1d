// Half and bfloat16 arithmetic.
#include <cuda_fp16.h>
#include <cuda_bf16.h>
__global__ void h(const __half* a, const __half* b, __half* c, __half2* d, __nv_bfloat16* e, __nv_bfloat162* f, float* g) {
  int i = threadIdx.x;
  c[i] = __hfma(a[i], b[i], c[i]);
  d[i] = __hmax2(h2exp(d[i]), __hadd2(d[i], __float2half2_rn(1.5f)));
  e[i] = __hmul(e[i], __float2bfloat16(g[i]));
  f[i] = __hfma2_relu(f[i], f[i], f[i]);
  g[i] = __half2float(a[i]) + __bfloat162float(e[i]) + (float)hsin(a[i]) + (a[i] < b[i]);
  c[i] = __hadd_sat(c[i], htanh(a[i]));
  atomicAdd(c + 1, a[i]); atomicAdd(d + 1, d[i]);
  d[i + 3] = __heq2(d[i], d[2]);
  c[i + 4] = __ushort2half_rn(i);
  g[4] = __hisnan(a[i]) + __half2int_rz(a[i]) + __half2ull_rd(b[i]);
}
