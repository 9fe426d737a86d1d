// Events: order, query, elapsed time, waiting, and the errors of events that hold no time.
#include "harness.h"

__global__ void hold(volatile int *flag) {
    while (*flag == 0) {
    }
}

__global__ void touch(int *data) { data[threadIdx.x]++; }

int main() {
    cudaStream_t busy, other;
    MUST(cudaStreamCreateWithFlags(&busy, cudaStreamNonBlocking));
    MUST(cudaStreamCreateWithFlags(&other, cudaStreamNonBlocking));
    cudaEvent_t before, middle, after, no_time, never;
    MUST(cudaEventCreate(&before));
    MUST(cudaEventCreate(&middle));
    MUST(cudaEventCreateWithFlags(&after, cudaEventBlockingSync));
    MUST(cudaEventCreateWithFlags(&no_time, cudaEventDisableTiming));
    MUST(cudaEventCreate(&never));
    Device<int> flag(1), data(64);
    flag.zero();
    data.zero();
    int *one = nullptr;
    MUST(cudaMallocHost(&one, sizeof(int)));
    *one = 1;
    MUST(cudaDeviceSynchronize());

    expect(cudaSuccess, cudaEventQuery(never), "query of an event that was never recorded");
    expect(cudaSuccess, cudaEventSynchronize(never), "wait for an event that was never recorded");

    // The stream cannot pass the kernel until the flag is set from the other stream.
    MUST(cudaEventRecord(before, busy));
    hold<<<1, 1, 0, busy>>>(flag);
    MUST(cudaEventRecord(middle, busy));
    touch<<<1, 64, 0, busy>>>(data);
    MUST(cudaEventRecord(after, busy));
    MUST(cudaEventRecord(no_time, busy));
    MUST(cudaEventSynchronize(before));
    expect(cudaSuccess, cudaEventQuery(before), "query before the kernel");
    expect(cudaErrorNotReady, cudaEventQuery(middle), "query behind the kernel");
    expect(cudaErrorNotReady, cudaStreamQuery(busy), "query of the stream");
    float ms = -1;
    expect(cudaErrorNotReady, cudaEventElapsedTime(&ms, before, after), "time while it runs");
    (void)cudaGetLastError();

    MUST(cudaMemcpyAsync(flag, one, sizeof(int), cudaMemcpyHostToDevice, other));
    MUST(cudaEventSynchronize(after));
    expect(cudaSuccess, cudaEventQuery(middle), "query behind the kernel, later");
    float first = -1, second = -1, both = -1;
    MUST(cudaEventElapsedTime(&first, before, middle));
    MUST(cudaEventElapsedTime(&second, middle, after));
    MUST(cudaEventElapsedTime(&both, before, after));
    check(first > 0 && second >= 0, "times are not negative");
    check(both + 0.01f >= first && both + 0.01f >= second, "the whole is not shorter than its parts");
    MUST(cudaStreamSynchronize(busy));
    expect(cudaErrorInvalidResourceHandle, cudaEventElapsedTime(&ms, before, no_time), "time without timing");
    (void)cudaGetLastError();
    expect(cudaErrorInvalidResourceHandle, cudaEventElapsedTime(&ms, before, never), "time of an event never recorded");
    (void)cudaGetLastError();

    // Recorded again, an event stands for the later place.
    for (int i = 0; i < 5; i++) {
        touch<<<1, 64, 0, other>>>(data);
        MUST(cudaEventRecord(middle, other));
    }
    MUST(cudaEventSynchronize(middle));
    int h = 0;
    MUST(cudaMemcpy(&h, data + 63, sizeof h, cudaMemcpyDeviceToHost));
    printf("touched: %d times\n", h);
    for (cudaEvent_t e : {before, middle, after, no_time, never}) MUST(cudaEventDestroy(e));
    MUST(cudaStreamDestroy(busy));
    MUST(cudaStreamDestroy(other));
    MUST(cudaFreeHost(one));
    return verdict();
}
