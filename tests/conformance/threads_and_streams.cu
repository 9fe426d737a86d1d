// Eight threads at once, each with streams and memory of its own.
#include "harness.h"

#include <atomic>
#include <thread>

__global__ void mix(unsigned *data, int n, unsigned by) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) data[i] = data[i] * 1103515245u + by;
}

static unsigned worker(int id, std::atomic<int> &bad) {
    const int n = 3000, streams = 3, rounds = 12;
    std::vector<unsigned> h(n), want(n);
    unsigned checksum = 0;
    cudaStream_t stream[streams];
    unsigned *device[streams];
    for (int s = 0; s < streams; s++) {
        MUST(cudaStreamCreateWithFlags(&stream[s], cudaStreamNonBlocking));
        MUST(cudaMalloc(&device[s], n * sizeof(unsigned)));
    }
    for (int r = 0; r < rounds; r++) {
        int s = r % streams;
        for (int i = 0; i < n; i++) {
            h[i] = i * (id + 1) + r;
            want[i] = (h[i] * 1103515245u + id) * 1103515245u + r;
        }
        MUST(cudaMemcpyAsync(device[s], h.data(), n * sizeof(unsigned), cudaMemcpyHostToDevice, stream[s]));
        mix<<<(n + 127) / 128, 128, 0, stream[s]>>>(device[s], n, id);
        mix<<<(n + 127) / 128, 128, 0, stream[s]>>>(device[s], n, r);
        MUST(cudaGetLastError());
        MUST(cudaMemcpyAsync(h.data(), device[s], n * sizeof(unsigned), cudaMemcpyDeviceToHost, stream[s]));
        MUST(cudaStreamSynchronize(stream[s]));
        bad += h != want;
        for (unsigned v : h) checksum = checksum * 31 + v;
    }
    for (int s = 0; s < streams; s++) {
        MUST(cudaFree(device[s]));
        MUST(cudaStreamDestroy(stream[s]));
    }
    return checksum;
}

int main() {
    std::atomic<int> bad{0};
    unsigned sums[8];
    std::vector<std::thread> threads;
    for (int t = 0; t < 8; t++) threads.emplace_back([&, t] { sums[t] = worker(t, bad); });
    for (std::thread &t : threads) t.join();
    for (int t = 0; t < 8; t++) printf("thread %d: %08x\n", t, sums[t]);
    check(bad == 0, "every round of every thread");
    return verdict();
}
