// What rgpu does not do yet answers cudaErrorNotSupported, and everything else goes on. (A card does all of this.)
#include "harness.h"

__global__ void add(int *p, int v) { *p += v; }

int main() {
    Device<int> d(1);
    d.zero();
    add<<<1, 1>>>(d, 1);
    void *managed = nullptr;
    expect(cudaErrorNotSupported, cudaMallocManaged(&managed, 4096), "managed memory");
    cudaGraph_t graph;
    expect(cudaErrorNotSupported, cudaGraphCreate(&graph, 0), "graphs");
    cudaStream_t stream;
    MUST(cudaStreamCreate(&stream));
    expect(cudaErrorNotSupported, cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal), "stream capture");
    cudaArray_t array;
    cudaChannelFormatDesc format = cudaCreateChannelDesc<float>();
    expect(cudaErrorNotSupported, cudaMallocArray(&array, &format, 64, 64), "arrays");
    cudaIpcMemHandle_t handle;
    expect(cudaErrorNotSupported, cudaIpcGetMemHandle(&handle, d), "memory shared between processes");
    (void)cudaGetLastError();
    add<<<1, 1, 0, stream>>>(d, 2);
    MUST(cudaGetLastError());
    MUST(cudaStreamDestroy(stream));
    printf("the rest: %d\n", d.host()[0]);
    return verdict();
}
