// Kernels read and write page-locked host memory: allocated and registered, through the address that the runtime gives
// for the device and through the host's own.
#include "harness.h"

#include <cstdlib>

struct Pair {
    const int *from;
    int *to;
};

__global__ void twice(const int *from, int *to, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) to[i] = 2 * from[i];
}

__global__ void twice_of(Pair pair, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) pair.to[i] = 2 * pair.from[i];
}

__global__ void count(int *counter) { atomicAdd(counter, 1); }

int main() {
    const int n = 3000;
    int can = 0;
    MUST(cudaDeviceGetAttribute(&can, cudaDevAttrCanMapHostMemory, 0));
    check(can == 1, "the device maps host memory");
    int *in, *out, *in_device, *out_device;
    MUST(cudaHostAlloc(&in, n * sizeof(int), cudaHostAllocMapped));
    MUST(cudaHostAlloc(&out, n * sizeof(int), cudaHostAllocMapped));
    MUST(cudaHostGetDevicePointer(&in_device, in, 0));
    MUST(cudaHostGetDevicePointer(&out_device, out, 0));
    for (int i = 0; i < n; i++) in[i] = i;
    twice<<<(n + 255) / 256, 256>>>(in_device, out_device, n);
    MUST(cudaDeviceSynchronize());
    int off = 0;
    for (int i = 0; i < n; i++) off += out[i] != 2 * i;
    printf("wrong after the first kernel: %d\n", off);

    // Changed by the program between launches, seen by the next; into the middle of the memory; in a structure.
    for (int i = 0; i < n; i += 3) in[i] = -i;
    cudaStream_t stream;
    MUST(cudaStreamCreate(&stream));
    twice_of<<<4, 256, 0, stream>>>(Pair{in_device + 100, out_device + 7}, 1000);
    MUST(cudaStreamSynchronize(stream));
    off = 0;
    for (int i = 0; i < 1000; i++) off += out[i + 7] != 2 * in[i + 100];
    for (int i = 0; i < 7; i++) off += out[i] != 2 * i;
    for (int i = 1007; i < n; i++) off += out[i] != 2 * i;
    printf("wrong after the second: %d\n", off);

    // One counter for many launches, with the host's address; the program writes beside it meanwhile.
    int *counter;
    MUST(cudaMallocHost(&counter, 2 * sizeof(int)));
    counter[0] = counter[1] = 0;
    for (int i = 0; i < 50; i++) {
        count<<<1, 32, 0, i % 2 ? stream : nullptr>>>(counter);
        counter[1] = i;
    }
    MUST(cudaDeviceSynchronize());
    printf("counted: %d, beside it: %d\n", counter[0], counter[1]);

    // What a kernel wrote to host memory is copied to the device behind it, without a wait in between.
    Device<int> copy(n);
    for (int i = 0; i < n; i++) in[i] = 10 + i;
    twice<<<(n + 255) / 256, 256, 0, stream>>>(in, out, n);
    MUST(cudaMemcpyAsync(copy, out, n * sizeof(int), cudaMemcpyHostToDevice, stream));
    int *back = static_cast<int *>(std::malloc(n * sizeof(int)));
    MUST(cudaMemcpyAsync(back, copy, n * sizeof(int), cudaMemcpyDeviceToHost, stream));
    MUST(cudaStreamSynchronize(stream));
    off = 0;
    for (int i = 0; i < n; i++) off += back[i] != 2 * (10 + i);
    printf("wrong in the copy: %d\n", off);

    // Memory of the program's own, registered; after an event.
    int *own = static_cast<int *>(std::aligned_alloc(4096, 4096 * 3)), *own_device;
    for (int i = 0; i < n; i++) own[i] = 5 * i;
    MUST(cudaHostRegister(own, n * sizeof(int), cudaHostRegisterMapped));
    MUST(cudaHostGetDevicePointer(&own_device, own, 0));
    twice<<<(n + 255) / 256, 256, 0, stream>>>(own_device, own_device, n);
    cudaEvent_t done;
    MUST(cudaEventCreate(&done));
    MUST(cudaEventRecord(done, stream));
    cudaError_t status;
    while ((status = cudaEventQuery(done)) == cudaErrorNotReady) {
    }
    MUST(status);
    off = 0;
    for (int i = 0; i < n; i++) off += own[i] != 10 * i;
    printf("wrong in registered memory: %d\n", off);
    MUST(cudaHostUnregister(own));
    int *none = nullptr;
    expect(cudaErrorInvalidValue, cudaHostGetDevicePointer(&none, own, 0), "address of memory that is not registered");
    (void)cudaGetLastError();

    // Freed and allocated again, memory starts afresh.
    for (int round = 0; round < 3; round++) {
        int *again;
        MUST(cudaMallocHost(&again, 64 * sizeof(int)));
        check(again[5] == 0, "fresh memory is zero");
        again[5] = round;
        count<<<1, 10>>>(again + 5);
        MUST(cudaDeviceSynchronize());
        check(again[5] == round + 10, "the kernel counts from what the program wrote");
        MUST(cudaFreeHost(again));
    }
    MUST(cudaEventDestroy(done));
    MUST(cudaStreamDestroy(stream));
    for (int *p : {in, out, counter}) MUST(cudaFreeHost(p));
    std::free(own);
    std::free(back);
    return verdict();
}
