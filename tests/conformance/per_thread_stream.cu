// The default stream of each thread: threads do not wait for each other, while the legacy stream still waits for all.
// nvcc: -gencode arch=compute_75,code=compute_75 --default-stream per-thread
#include "harness.h"

#include <atomic>
#include <thread>

__global__ void hold(volatile int *flag, int *out) {
    while (*flag == 0) {
    }
    *out = *flag;
}
__global__ void set(int *p, int v) { *p = v; }

int main() {
    Device<int> flag(1), out(1), done(1);
    flag.zero();
    done.zero();
    MUST(cudaDeviceSynchronize());
    std::atomic<bool> launched{false};
    std::thread waiting([&] {
        hold<<<1, 1>>>(flag, out);
        MUST(cudaGetLastError());
        launched = true;
        MUST(cudaStreamSynchronize(cudaStreamPerThread));
    });
    while (!launched) std::this_thread::yield();
    // This thread's default stream is not behind the other's kernel: kernel and copy end.
    set<<<1, 1>>>(done, 8);
    int h = 0;
    MUST(cudaMemcpy(&h, done, sizeof h, cudaMemcpyDeviceToHost));
    printf("beside the other thread: %d\n", h);
    set<<<1, 1>>>(flag, 3);
    waiting.join();
    MUST(cudaMemcpy(&h, out, sizeof h, cudaMemcpyDeviceToHost));
    printf("the other thread's kernel saw: %d\n", h);
    return verdict();
}
