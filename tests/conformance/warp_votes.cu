// Votes, matches and masks of a warp, also where only a part of it takes part.
#include "harness.h"

__global__ void votes(unsigned *out) {
    unsigned lane = threadIdx.x, all = 0xffffffffu;
    unsigned odd = __ballot_sync(all, lane & 1);
    int any = __any_sync(all, lane == 31), every = __all_sync(all, lane < 32), none = __any_sync(all, lane > 31);
    unsigned third = __match_any_sync(all, lane % 3);
    int same = 0, differs = 1;
    unsigned together = __match_all_sync(all, 42, &same);
    unsigned apart = __match_all_sync(all, lane / 31, &differs);
    if (lane == 4) {
        out[0] = odd;
        out[1] = any;
        out[2] = every;
        out[3] = none;
        out[4] = third;
        out[5] = together;
        out[6] = same;
        out[7] = apart;
        out[8] = differs;
    }
    if (lane < 12) {
        unsigned part = __ballot_sync(0xfffu, lane % 4 == 0);
        int sum = __shfl_xor_sync(0xfffu, (int)lane, 2);
        if (lane == 5) {
            out[9] = part;
            out[10] = sum;
        }
    }
    __syncwarp();
    // Lane masks of the special registers.
    if (lane == 10) {
        unsigned lt, le, gt, ge, eq, id;
        asm("mov.u32 %0, %%lanemask_lt;" : "=r"(lt));
        asm("mov.u32 %0, %%lanemask_le;" : "=r"(le));
        asm("mov.u32 %0, %%lanemask_gt;" : "=r"(gt));
        asm("mov.u32 %0, %%lanemask_ge;" : "=r"(ge));
        asm("mov.u32 %0, %%lanemask_eq;" : "=r"(eq));
        asm("mov.u32 %0, %%laneid;" : "=r"(id));
        out[11] = lt;
        out[12] = le;
        out[13] = gt;
        out[14] = ge;
        out[15] = eq;
        out[16] = id;
    }
}

// The usual way to compact an array: one atomic for each warp, ranks by the population count of a ballot.
__global__ void compact(const int *in, int *out, int *count, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x, lane = threadIdx.x % 32;
    bool keep = i < n && in[i] % 5 == 0;
    unsigned mask = __ballot_sync(0xffffffffu, keep);
    int base = 0;
    if (lane == 0) base = atomicAdd(count, __popc(mask));
    base = __shfl_sync(0xffffffffu, base, 0);
    if (keep) out[base + __popc(mask & ((1u << lane) - 1))] = in[i];
}

int main() {
    Device<unsigned> d(17);
    d.zero();
    votes<<<1, 32>>>(d);
    std::vector<unsigned> h = d.host();
    printf("ballot of odd lanes: %08x\n", h[0]);
    printf("any %u, all %u, none %u\n", h[1], h[2], h[3]);
    printf("lanes like lane 4 modulo 3: %08x\n", h[4]);
    printf("match_all: %08x %u, %08x %u\n", h[5], h[6], h[7], h[8]);
    printf("ballot of 12 lanes: %08x, xor shuffle: %u\n", h[9], h[10]);
    printf("masks of lane %u: lt %08x le %08x gt %08x ge %08x eq %08x\n", h[16], h[11], h[12], h[13], h[14], h[15]);

    const int n = 3000;
    std::vector<int> in(n);
    long long want = 0;
    int kept = 0;
    for (int i = 0; i < n; i++) {
        in[i] = (i * 31) % 1009;
        if (in[i] % 5 == 0) want += in[i], kept++;
    }
    Device<int> din(in), dout(n), dcount(1);
    dcount.zero();
    compact<<<(n + 127) / 128, 128>>>(din, dout, dcount, n);
    int count = dcount.host()[0];
    std::vector<int> out = dout.host();
    long long sum = 0;
    for (int i = 0; i < count && i < n; i++) sum += out[i];
    printf("compacted: %d values with sum %lld\n", count, sum);
    check(count == kept && sum == want, "compaction");
    MUST(cudaGetLastError());
    return verdict();
}
