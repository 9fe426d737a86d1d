// Ten thousand launches in a row, in one stream and round robin over four, each seen in the result.
#include "harness.h"

__global__ void step(unsigned *v, unsigned i) { *v = *v * 1664525u + i; }
__global__ void count(unsigned *v) { v[threadIdx.x]++; }

int main() {
    const int launches = 10000;
    Device<unsigned> d(1);
    d.zero();
    unsigned want = 0;
    for (int i = 0; i < launches; i++) {
        step<<<1, 1>>>(d, i);
        want = want * 1664525u + i;
    }
    MUST(cudaGetLastError());
    unsigned got = d.host()[0];
    printf("%d dependent launches: %u\n", launches, got);
    check(got == want, "in order, none lost");

    cudaStream_t streams[4];
    for (auto &s : streams) MUST(cudaStreamCreate(&s));
    Device<unsigned> c(4 * 32);
    c.zero();
    for (int i = 0; i < 2000; i++) count<<<1, 32, 0, streams[i % 4]>>>(c + i % 4 * 32);
    MUST(cudaDeviceSynchronize());
    unsigned sum = 0;
    for (unsigned v : c.host()) sum += v;
    printf("over four streams: %u\n", sum);
    for (auto &s : streams) MUST(cudaStreamDestroy(s));
    return verdict();
}
