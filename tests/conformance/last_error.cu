// cudaGetLastError and cudaPeekAtLastError, per thread, and the names and texts of errors.
#include "harness.h"

#include <thread>

__global__ void nothing() {}

int main() {
    expect(cudaSuccess, cudaGetLastError(), "at the start");
    nothing<<<1, 2000>>>();
    expect(cudaErrorInvalidConfiguration, cudaPeekAtLastError(), "peek");
    expect(cudaErrorInvalidConfiguration, cudaPeekAtLastError(), "peek again");
    // A call that succeeds does not clear it.
    int device = 0;
    MUST(cudaGetDevice(&device));
    expect(cudaErrorInvalidConfiguration, cudaGetLastError(), "get");
    expect(cudaSuccess, cudaGetLastError(), "get again");

    // The last error of another thread is its own.
    cudaSetDevice(-1);
    cudaError_t seen = cudaErrorUnknown, after = cudaSuccess;
    std::thread other([&] {
        seen = cudaGetLastError();
        cudaMemcpy(nullptr, nullptr, 4, (cudaMemcpyKind)50);
        after = cudaPeekAtLastError();
    });
    other.join();
    expect(cudaSuccess, seen, "in another thread");
    expect(cudaErrorInvalidMemcpyDirection, after, "after an error of its own");
    expect(cudaErrorInvalidDevice, cudaGetLastError(), "in this thread");

    for (cudaError_t e : {cudaSuccess, cudaErrorInvalidValue, cudaErrorMemoryAllocation, cudaErrorNoDevice, cudaErrorNotReady,
                          cudaErrorIllegalAddress, cudaErrorLaunchFailure, cudaErrorNotSupported, cudaErrorUnknown, (cudaError_t)12345})
        printf("%d %s: %s\n", (int)e, cudaGetErrorName(e), cudaGetErrorString(e));
    return verdict();
}
