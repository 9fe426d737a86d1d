// Bad pointers and sizes given to copies, sets and frees: refused at once, and the device stays usable.
#include "harness.h"

int main() {
    Device<char> d(1000), e(1000);
    char host[2000] = {1};
    char *nowhere = (char *)d.ptr + (1LL << 36);
    expect(cudaErrorInvalidValue, cudaMemcpy(nowhere, host, 16, cudaMemcpyHostToDevice), "copy to an address outside");
    expect(cudaErrorInvalidValue, cudaMemcpy(host, nowhere, 16, cudaMemcpyDeviceToHost), "copy from an address outside");
    expect(cudaErrorInvalidValue, cudaMemset(nowhere, 0, 16), "set at an address outside");
    expect(cudaErrorInvalidValue, cudaMemcpy(nullptr, host, 16, cudaMemcpyHostToDevice), "copy to null");
    expect(cudaErrorInvalidMemcpyDirection, cudaMemcpy(d, host, 16, (cudaMemcpyKind)77), "direction 77");

    char *middle = d + 10;
    expect(cudaErrorInvalidValue, cudaFree(middle), "free in the middle");
    expect(cudaErrorInvalidValue, cudaFree(host), "free of host memory");
    expect(cudaErrorInvalidValue, cudaFreeHost(host), "free of host memory as pinned");
    expect(cudaSuccess, cudaFree(nullptr), "free of null");
    char *once = nullptr;
    MUST(cudaMalloc(&once, 4096));
    expect(cudaSuccess, cudaFree(once), "free");
    expect(cudaErrorInvalidValue, cudaFree(once), "free again");
    expect(cudaErrorInvalidValue, cudaMalloc(nullptr, 16), "allocation without a place for the result");
    char *none = (char *)1;
    expect(cudaSuccess, cudaMalloc(&none, 0), "allocation of nothing");
    check(none == nullptr, "which gives null");

    (void)cudaGetLastError();
    MUST(cudaMemset(d, 7, 1000));
    MUST(cudaMemcpy(e, d, 1000, cudaMemcpyDeviceToDevice));
    printf("still usable: %d\n", e.host()[999]);
    return verdict();
}
