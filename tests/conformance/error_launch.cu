// Launches that cannot be: each is refused with the documented error, nothing runs, and the next launch is fine.
#include "harness.h"

__global__ void mark(int *out) { atomicAdd(out, 1); }
__global__ void __launch_bounds__(64) small_only(int *out) { atomicAdd(out, 1); }

static void refused(cudaError_t want, const char *label) {
    expect(want, cudaGetLastError(), label);
    // The error is cleared by reading it and does not stick to the device.
    expect(cudaSuccess, cudaDeviceSynchronize(), "  the device afterwards");
}

int main() {
    Device<int> d(1);
    d.zero();
    mark<<<1, 1025>>>(d);
    refused(cudaErrorInvalidConfiguration, "1025 threads");
    mark<<<1, dim3(32, 32, 2)>>>(d);
    refused(cudaErrorInvalidConfiguration, "32 x 32 x 2 threads");
    mark<<<1, dim3(1, 1, 65)>>>(d);
    refused(cudaErrorInvalidConfiguration, "65 threads deep");
    mark<<<0, 32>>>(d);
    refused(cudaErrorInvalidConfiguration, "an empty grid");
    mark<<<1, 0>>>(d);
    refused(cudaErrorInvalidConfiguration, "an empty block");
    mark<<<dim3(1, 65536), 1>>>(d);
    refused(cudaErrorInvalidConfiguration, "65536 rows of blocks");
    mark<<<1, 32, 1 << 20>>>(d);
    refused(cudaErrorInvalidValue, "1 MiB of shared memory");
    small_only<<<1, 128>>>(d);
    check(cudaGetLastError() != cudaSuccess, "more threads than the launch bounds are refused");
    printf("threads that ran: %d\n", d.host()[0]);
    mark<<<2, 1024>>>(d);
    MUST(cudaGetLastError());
    small_only<<<1, 64>>>(d);
    MUST(cudaGetLastError());
    printf("threads that ran: %d\n", d.host()[0]);
    return verdict();
}
