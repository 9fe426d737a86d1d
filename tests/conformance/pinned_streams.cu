// Pinned memory and asynchronous copies on sixteen streams, and pageable memory, whose contents count at the call.
#include "harness.h"

__global__ void scale(float *data, int n, float factor) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) data[i] = data[i] * factor + 1;
}

static void pageable() {
    // The copy from pageable memory has read its source when the call returns.
    const int n = 5000;
    std::vector<float> h(n), back(n);
    cudaStream_t stream;
    MUST(cudaStreamCreate(&stream));
    Device<float> d(n);
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < n; i++) h[i] = i + round;
        MUST(cudaMemcpyAsync(d, h.data(), n * sizeof(float), cudaMemcpyHostToDevice, stream));
        for (int i = 0; i < n; i++) h[i] = -1;
        scale<<<(n + 127) / 128, 128, 0, stream>>>(d, n, 2);
        MUST(cudaMemcpyAsync(back.data(), d, n * sizeof(float), cudaMemcpyDeviceToHost, stream));
        MUST(cudaStreamSynchronize(stream));
        bool good = true;
        for (int i = 0; i < n; i++) good &= back[i] == 2 * (i + round) + 1;
        check(good, "pageable, round %d", round);
    }
    MUST(cudaStreamDestroy(stream));
}

int main() {
    const int streams = 16, n = 6000, rounds = 3;
    float *host[streams], *device[streams];
    cudaStream_t stream[streams];
    for (int s = 0; s < streams; s++) {
        MUST(cudaMallocHost(&host[s], n * sizeof(float)));
        MUST(cudaMalloc(&device[s], n * sizeof(float)));
        MUST(cudaStreamCreateWithFlags(&stream[s], s % 2 ? cudaStreamNonBlocking : cudaStreamDefault));
        for (int i = 0; i < n; i++) host[s][i] = i % 100 + s;
    }
    for (int r = 0; r < rounds; r++)
        for (int s = 0; s < streams; s++) {
            MUST(cudaMemcpyAsync(device[s], host[s], n * sizeof(float), cudaMemcpyHostToDevice, stream[s]));
            scale<<<(n + 255) / 256, 256, 0, stream[s]>>>(device[s], n, 2);
            MUST(cudaMemcpyAsync(host[s], device[s], n * sizeof(float), cudaMemcpyDeviceToHost, stream[s]));
        }
    MUST(cudaGetLastError());
    int good = 0;
    for (int s = 0; s < streams; s++) {
        MUST(cudaStreamSynchronize(stream[s]));
        MUST(cudaStreamQuery(stream[s]));
        bool same = true;
        for (int i = 0; i < n; i++) same &= host[s][i] == (i % 100 + s) * 8 + 7;
        good += same;
    }
    printf("streams with the right result: %d of %d\n", good, streams);
    check(good == streams, "three rounds of copy, kernel, copy");
    for (int s = 0; s < streams; s++) {
        MUST(cudaStreamDestroy(stream[s]));
        MUST(cudaFree(device[s]));
        MUST(cudaFreeHost(host[s]));
    }

    // Registered memory is pinned in place.
    std::vector<int> own(4096, 5);
    MUST(cudaHostRegister(own.data(), own.size() * sizeof(int), cudaHostRegisterDefault));
    expect(cudaErrorHostMemoryAlreadyRegistered, cudaHostRegister(own.data(), own.size() * sizeof(int), cudaHostRegisterDefault),
           "registered twice");
    (void)cudaGetLastError();
    Device<int> d(4096);
    MUST(cudaMemcpyAsync(d, own.data(), own.size() * sizeof(int), cudaMemcpyHostToDevice, 0));
    MUST(cudaStreamSynchronize(0));
    check(d.host() == own, "registered memory");
    MUST(cudaHostUnregister(own.data()));
    expect(cudaErrorHostMemoryNotRegistered, cudaHostUnregister(own.data()), "unregistered twice");
    (void)cudaGetLastError();

    unsigned flags = 0;
    int *p = nullptr;
    MUST(cudaHostAlloc(&p, 64, cudaHostAllocPortable));
    MUST(cudaHostGetFlags(&flags, p));
    check((flags & cudaHostAllocPortable) != 0, "flags of pinned memory");
    MUST(cudaFreeHost(p));
    pageable();
    return verdict();
}
