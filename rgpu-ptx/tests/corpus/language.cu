// The language: constants, managed memory, tables of functions, recursion, virtual calls, printf, assert, switch, shared
// memory, atomics, shuffles, votes, templates, large parameters, inline PTX.
#include <cstdio>
#include <cassert>
__constant__ float ctab[16] = {1.f, 2.f, 3.5f};
__constant__ double cd = 3.25;
__device__ int counter = 7;
__device__ __managed__ int managed_counter;
__device__ const char* msg = "hello\n\tworld \"x\"";
struct S { char a; double b; short c[3]; };
__device__ S sarr[2] = {{'a', 1.5, {1,2,3}}, {'b', -2.5, {4,5,6}}};
__device__ int* ptr_to = &counter;
__device__ float* ctab_ptr = (float*)&sarr[1].b;
typedef int (*fn)(int);
__device__ __noinline__ int f1(int x) { return x * 3 + counter; }
__device__ __noinline__ int f2(int x) { return x / 7; }
__device__ fn table[2] = {f1, f2};
__device__ __noinline__ int fib(int n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }
__device__ __noinline__ S mk(S s, float4 q) { s.b += q.x * q.w; s.c[1] = 9; return s; }
struct Base { __device__ virtual int go(int x) { return x; } __device__ virtual ~Base() {} };
struct D1 : Base { int k; __device__ int go(int x) override { return x + k; } };
struct D2 : Base { __device__ int go(int x) override { return x * counter; } };
__global__ void calls(int* out, int n, S s, fn g) {
  out[0] = table[n & 1](n) + fib(n) + g(3);
  S r = mk(s, make_float4(n, 2, 3, 4)); out[1] = r.c[1] + (int)r.b;
  Base* b = n > 3 ? (Base*)new D1 : (Base*)new D2; out[2] = b->go(n); delete b;
  out[3] = s.c[n]; sarr[n] = s;
}
__global__ void __launch_bounds__(256, 2) pr(int* out, const char* s) {
  printf("%s %d %lld %f %s\n", s, threadIdx.x, clock64(), ctab[threadIdx.x & 15], msg);
  assert(out[threadIdx.x] != 4);
  __nanosleep(20);
  int* m = (int*)malloc(40); m[threadIdx.x] = 1; free(m);
}
__global__ void sw(int* o, int k) {
  switch (k) { case 0: o[0] = __popc(k); break; case 1: o[1] = __clz(o[3]); break; case 2: o[2] = __brev(o[1]); break;
   case 3: o[5] = atomicAdd(o,1); break; case 4: o[6] = __ffs(o[2]); break; case 5: o[1] = __ballot_sync(~0u, o[2] > 1); break;
   case 6: atomicMax(o, 3); break; case 7: o[3] = o[4] * o[5]; case 8: __syncthreads(); o[4] = 33; default: o[7] = 2; }
}
extern __shared__ double dyn[];
__global__ void sh(double* x, volatile int* flag) {
  __shared__ float st[32][33]; __shared__ int hist[256];
  st[threadIdx.x][threadIdx.y] = x[threadIdx.x]; dyn[threadIdx.x] = st[threadIdx.y][threadIdx.x]; __syncthreads();
  atomicAdd(&hist[threadIdx.x], 1); atomicCAS(&hist[1], 3, 4); __threadfence(); __threadfence_block(); __threadfence_system();
  while (*flag == 0) ; x[0] = dyn[3] + hist[5]; if (__syncthreads_count(x[1] > 2) > 3) x[3] = __syncthreads_or(1) + __syncthreads_and(x[2] > 1);
  unsigned long long* u = (unsigned long long*)x; atomicExch(u, 4ull); atomicAdd(x, 2.0); atomicAdd((float*)x, 1.f); atomicInc((unsigned*)u, 7); atomicMin((long long*)u, -4ll);atomicXor(u, 5ull);
}
__global__ void warp(int* o) {
  int v = o[threadIdx.x]; v += __shfl_sync(~0u, v, 3); v += __shfl_down_sync(~0u, v, 1); v += __shfl_up_sync(~0u, v, 1, 8); v ^= __shfl_xor_sync(~0u, v, 2);
  o[0] = __any_sync(~0u, v) + __all_sync(~0u, v) + __activemask() + __match_any_sync(~0u, v); int p; o[1] = __match_all_sync(~0u, v, &p) + p; __syncwarp(); o[2] = p;
#if __CUDA_ARCH__ >= 800
  o[3] = __reduce_add_sync(~0u, v) + __reduce_max_sync(~0u, (unsigned)v);
#endif
  o[4] = __ldg(o + 4) + __ldcg(o + 5) + __ldcs(o + 6) + __ldcv(o+9); __stwt(o + 3, 4); __stcg(o+2, 3); int4 q = *(int4*)(o + 16); *(int4*)(o + 32) = q; short2 z = *(short2*)(o+3); z.x++; *(short2*)(o+5)=z;
}
template <typename T, int N> __global__ void tmpl(T* x) { T acc = 0; for (int i = 0; i < N; i++) acc += x[i * N]; T loc[64]; for (int i = 0; i < 64; i++) loc[(i * 7 + N) & 63] = x[i]; x[0] = acc + loc[(int)x[3] & 63]; }
template __global__ void tmpl<float, 4>(float*); template __global__ void tmpl<double, 37>(double*); template __global__ void tmpl<unsigned char, 8>(unsigned char*); template __global__ void tmpl<long long, 3>(long long*); template __global__ void tmpl<short, 3>(short*);
__global__ void trapk(int x) { if (x) __trap(); else asm volatile("exit;"); }
struct P4 { int v[1000]; };
__global__ void bigp(const __grid_constant__ P4 p, int* o) { o[threadIdx.x] = p.v[threadIdx.x]; }
__global__ void inlineasm(unsigned* o, unsigned long long* p) {
  asm volatile("{ .reg .pred p1; .reg .b32 t; setp.ne.u32 p1, %0, 0; @p1 add.cc.u32 %0, %1, 1; addc.u32 t, %0, 2; selp.u32 %0, t, 3, p1; }" : "+r"(o[0]) : "r"(o[1]));
  asm("mad.lo.cc.u32 %0, %1, %2, %3;" : "=r"(o[2]) : "r"(o[3]), "r"(o[4]), "r"(o[5]));
  asm("lop3.b32 %0, %1, %2, %3, 0xE8; // comment ; {" : "=r"(o[6]) : "r"(o[3]), "r"(o[4]), "r"(o[5]));
  asm("{ /* } */ bfe.u32 %0, %1, 8, 8; bfi.b32 %0, %1, %0, 3, 4; }" : "=r"(o[7]) : "r"(o[1]));
  asm("mov.u32 %0, %%laneid;" : "=r"(o[8])); asm("mov.u32 %0, %%lanemask_lt;" : "=r"(o[9])); asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(p[1])); 
  asm("vabsdiff4.u32.u32.u32.add %0, %1, %2, %3;" : "=r"(o[10]) : "r"(o[1]), "r"(o[2]), "r"(o[3]));
  asm("mov.b64 {%0, %1}, %2;" : "=r"(o[11]), "=r"(o[12]) : "l"(p[2]));
  asm("vadd.s32.s32.s32.sat %0, %1.h0, %2.b3;" : "=r"(o[13]) : "r"(o[1]), "r"(o[2]));
  asm("szext.wrap.s32 %0, %1, 5; bmsk.clamp.b32 %0, %0, 3; " : "=r"(o[14]) : "r"(o[1]));
}
