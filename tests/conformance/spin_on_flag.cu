// Thread A waits for a kernel which spins on a flag; thread B sets the flag by a copy on another stream. Whoever lets one
// thread's wait hold up another thread's call hangs here.
#include "harness.h"

#include <atomic>
#include <thread>

__global__ void spin(volatile int *flag, int *out) {
    while (*flag == 0) {
    }
    out[threadIdx.x] = *flag + threadIdx.x;
}

int main() {
    const int rounds = 3;
    Device<int> flag(1), out(32);
    int *value = nullptr;
    MUST(cudaMallocHost(&value, sizeof(int)));
    for (int round = 0; round < rounds; round++) {
        flag.zero();
        MUST(cudaDeviceSynchronize());
        cudaStream_t for_kernel, for_copy;
        MUST(cudaStreamCreateWithFlags(&for_kernel, cudaStreamNonBlocking));
        MUST(cudaStreamCreateWithFlags(&for_copy, cudaStreamNonBlocking));
        std::atomic<bool> launched{false}, finished{false};
        cudaError_t waited = cudaErrorUnknown;
        std::thread a([&] {
            spin<<<1, 32, 0, for_kernel>>>(flag, out);
            MUST(cudaGetLastError());
            launched = true;
            waited = cudaStreamSynchronize(for_kernel);
            finished = true;
        });
        bool early = false;
        std::thread b([&] {
            while (!launched) std::this_thread::yield();
            // Many calls go through while A waits.
            for (int i = 0; i < 50; i++) {
                size_t free = 0, total = 0;
                MUST(cudaMemGetInfo(&free, &total));
                void *p = nullptr;
                MUST(cudaMalloc(&p, 1024));
                MUST(cudaMemsetAsync(p, 0, 1024, for_copy));
                MUST(cudaStreamSynchronize(for_copy));
            }
            early = finished;
            *value = 100 + round;
            MUST(cudaMemcpyAsync(flag, value, sizeof(int), cudaMemcpyHostToDevice, for_copy));
        });
        a.join();
        b.join();
        check(!early && waited == cudaSuccess, "round %d: the wait ended when the flag was set", round);
        std::vector<int> h = out.host();
        printf("round %d: %d %d\n", round, h[0], h[31]);
        MUST(cudaStreamDestroy(for_kernel));
        MUST(cudaStreamDestroy(for_copy));
    }
    MUST(cudaFreeHost(value));
    return verdict();
}
