// The device's clocks, nanosleep, special registers of the grid, and predicates of address spaces.
#include "harness.h"

__global__ void clocks(long long *out) {
    long long c0 = clock64();
    unsigned long long g0, g1;
    asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(g0));
    __nanosleep(1000);
    unsigned sum = 0;
    for (int i = 0; i < 1000; i++) sum = sum * 3 + i;
    asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(g1));
    long long c1 = clock64();
    out[0] = c1 > c0;
    out[1] = g1 >= g0;
    out[2] = sum != 1;
}

__global__ void registers(int *out) {
    unsigned tid, ntid, ctaid, nctaid, warp, size;
    asm("mov.u32 %0, %%tid.y;" : "=r"(tid));
    asm("mov.u32 %0, %%ntid.y;" : "=r"(ntid));
    asm("mov.u32 %0, %%ctaid.z;" : "=r"(ctaid));
    asm("mov.u32 %0, %%nctaid.z;" : "=r"(nctaid));
    asm volatile("mov.u32 %0, %%warpid;" : "=r"(warp));
    asm("mov.u32 %0, WARP_SZ;" : "=r"(size));
    if (threadIdx.x == 1 && threadIdx.y == 2 && threadIdx.z == 1 && blockIdx.x == 2 && blockIdx.y == 1 && blockIdx.z == 3) {
        out[0] = tid;
        out[1] = ntid;
        out[2] = ctaid;
        out[3] = nctaid;
        out[4] = warp < 32;
        out[5] = size;
        out[6] = gridDim.x * 100 + gridDim.y * 10 + gridDim.z;
        out[7] = blockDim.x * 100 + blockDim.y * 10 + blockDim.z;
    }
}

__global__ void spaces(int *global, int *out) {
    __shared__ int shared;
    int local[4] = {(int)threadIdx.x, 1, 2, 3};
    int *volatile pointers[3] = {global, &shared, &local[threadIdx.x]};
    shared = 5;
    out[0] = __isGlobal(pointers[0]) * 100 + __isShared(pointers[0]) * 10 + __isLocal(pointers[0]);
    out[1] = __isGlobal(pointers[1]) * 100 + __isShared(pointers[1]) * 10 + __isLocal(pointers[1]);
    out[2] = __isGlobal(pointers[2]) * 100 + __isShared(pointers[2]) * 10 + __isLocal(pointers[2]);
    // Generic loads and stores reach all three.
    *pointers[0] = *pointers[1] + *pointers[2] + 40;
    *pointers[1] = 6;
    *pointers[2] = 7;
    out[3] = *global;
    out[4] = shared * 10 + local[threadIdx.x];
    // From a generic address to that of the space, and back.
    size_t in_shared = __cvta_generic_to_shared(pointers[1]);
    out[5] = *(int *)__cvta_shared_to_generic(in_shared);
    unsigned direct;
    asm volatile("ld.shared.u32 %0, [%1];" : "=r"(direct) : "r"((unsigned)in_shared));
    out[6] = direct;
}

int main() {
    Device<long long> c(3);
    clocks<<<1, 1>>>(c);
    MUST(cudaGetLastError());
    std::vector<long long> ch = c.host();
    printf("clock advances %lld, timer does not go back %lld, %lld\n", ch[0], ch[1], ch[2]);
    Device<int> r(8), g(1), s(7);
    registers<<<dim3(3, 2, 4), dim3(2, 3, 2)>>>(r);
    for (int v : r.host()) printf("%d ", v);
    printf("\n");
    spaces<<<1, 1>>>(g, s);
    for (int v : s.host()) printf("%d ", v);
    printf("\n");
    MUST(cudaGetLastError());
    return verdict();
}
