// Block and warp barriers: the counting forms, named barriers with a part of the block, threads that left early,
// and a barrier in a loop that orders a pipeline through shared memory.
#include "harness.h"

__global__ void counting(int *out) {
    int t = threadIdx.x;
    int n = __syncthreads_count(t % 3 == 0);
    int all = __syncthreads_and(t < 1000);
    int not_all = __syncthreads_and(t != 77);
    int any = __syncthreads_or(t == 77);
    int none = __syncthreads_or(t > 1000);
    if (t == 0) {
        out[0] = n;
        out[1] = all != 0;
        out[2] = not_all != 0;
        out[3] = any != 0;
        out[4] = none != 0;
    }
}

// Each step reads what another warp wrote in the step before: wrong without the barrier.
__global__ void rotate(int *out, int steps) {
    __shared__ int ring[256];
    int t = threadIdx.x;
    ring[t] = t;
    for (int s = 0; s < steps; s++) {
        __syncthreads();
        int v = ring[(t + 37) % 256];
        __syncthreads();
        ring[t] = v;
    }
    __syncthreads();
    out[t] = ring[t];
}

// Warps 0 and 1 meet at barrier 1 only, warps 2 and 3 at barrier 2: the halves do not wait for each other.
__global__ void named(int *out) {
    __shared__ int box[128];
    int t = threadIdx.x, half = t / 64;
    box[t] = t * 10;
    if (half == 0)
        asm volatile("bar.sync 1, 64;" ::: "memory");
    else
        asm volatile("bar.sync 2, 64;" ::: "memory");
    out[t] = box[half * 64 + 63 - t % 64];
}

// The producer warp only arrives; the consumer warp waits.
__global__ void produce_consume(int *out) {
    __shared__ int box[32];
    int lane = threadIdx.x % 32;
    if (threadIdx.x < 32) {
        box[lane] = lane * lane;
        __threadfence_block();
        asm volatile("bar.arrive 3, 64;" ::: "memory");
    } else {
        asm volatile("bar.sync 3, 64;" ::: "memory");
        out[lane] = box[31 - lane];
    }
}

// Warps that have returned are not waited for.
__global__ void leave_early(int *out) {
    __shared__ int sum;
    if (threadIdx.x == 0) sum = 0;
    __syncthreads();
    if (threadIdx.x >= 96) return;
    atomicAdd(&sum, 1);
    __syncthreads();
    if (threadIdx.x == 0) *out = sum;
}

__global__ void warps(int *out) {
    __shared__ int box[64];
    int t = threadIdx.x;
    box[t] = t;
    __syncwarp();
    int v = box[t ^ 1];
    __syncwarp();
    box[t] = v * 2;
    __syncwarp(0xffffffffu);
    out[t] = box[t ^ 31];
    __syncwarp();
    // A part of a warp can meet on its own.
    if (t % 32 < 8) {
        box[t] = 100 + t;
        __syncwarp(0xffu);
        out[t] = box[t ^ 7];
    }
}

int main() {
    Device<int> d(256);
    counting<<<1, 256>>>(d);
    std::vector<int> h = d.host();
    printf("count %d, and %d, and %d, or %d, or %d\n", h[0], h[1], h[2], h[3], h[4]);

    rotate<<<1, 256>>>(d, 50);
    h = d.host();
    bool good = true;
    for (int t = 0; t < 256; t++) good &= h[t] == (t + 37 * 50) % 256;
    printf("rotated: %d %d %d\n", h[0], h[100], h[255]);
    check(good, "barriers in a loop");

    named<<<1, 128>>>(d);
    h = d.host();
    printf("named: %d %d %d %d\n", h[0], h[63], h[64], h[127]);

    produce_consume<<<1, 64>>>(d);
    h = d.host();
    printf("arrive and sync: %d %d %d\n", h[0], h[1], h[31]);

    leave_early<<<1, 128>>>(d);
    printf("after 32 threads left: %d\n", d.host()[0]);

    warps<<<1, 64>>>(d);
    h = d.host();
    printf("warp barriers: %d %d %d %d | %d %d\n", h[0], h[7], h[8], h[31], h[32], h[63]);
    MUST(cudaGetLastError());
    return verdict();
}
