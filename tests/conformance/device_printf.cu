// printf on the device: formats, argument kinds, order within a thread and between launches of a stream.
#include "harness.h"

__global__ void formats() {
    printf("hello from the device\n");
    printf("int %d %i %5d|%-5d|%05d %+d\n", -7, 42, 12, 12, 12, 5);
    printf("unsigned %u %x %X %o %#x\n", 4000000000u, 0xbeef, 0xbeef, 8, 255);
    printf("long long %lld %llu %llx\n", -1234567890123LL, 18446744073709551615ULL, 0xfedcba9876543210ULL);
    printf("float %f %.2f %e %g %8.3f|\n", 1.5f, 2.71828f, 12345.678, 0.0001, -3.25);
    printf("char %c%c%c string %s %10s|%-6s|\n", 'G', 'P', 'U', "text", "right", "left");
    printf("percent %% star %*d|%.*f\n", 6, 77, 3, 3.14159);
    printf("%d %d %d %d %d %d %d %d %d %d\n", 1, 2, 3, 4, 5, 6, 7, 8, 9, 10);
}

__global__ void returned(int *out) { *out = printf("two arguments: %d %d\n", 1, 2); }

__global__ void who(int launch) {
    if (threadIdx.x == 5 && blockIdx.x == 1) printf("launch %d, block %d, thread %d\n", launch, blockIdx.x, threadIdx.x);
}

int main() {
    printf("before\n");
    fflush(stdout);
    formats<<<1, 1>>>();
    MUST(cudaDeviceSynchronize());
    fflush(stdout);
    printf("between\n");
    fflush(stdout);
    for (int i = 0; i < 4; i++) who<<<3, 32>>>(i);
    Device<int> d(1);
    returned<<<1, 1>>>(d);
    MUST(cudaDeviceSynchronize());
    fflush(stdout);
    printf("printf returned %d\n", d.host()[0]);
    return verdict();
}
