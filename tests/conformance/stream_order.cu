// Order across streams: cudaStreamWaitEvent, the legacy default stream, streams that do not wait for it, priorities.
#include "harness.h"

__global__ void hold(volatile int *flag) {
    while (*flag == 0) {
    }
}
__global__ void append(int *list, int *length, int value) { list[atomicAdd(length, 1)] = value; }

static void print_list(const char *label, const Device<int> &list, const Device<int> &length) {
    std::vector<int> l = list.host();
    int n = length.host()[0];
    printf("%s:", label);
    for (int i = 0; i < n; i++) printf(" %d", l[i]);
    printf("\n");
}

int main() {
    Device<int> list(64), length(1), flag(1);
    int *one = nullptr;
    MUST(cudaMallocHost(&one, sizeof(int)));
    *one = 1;
    cudaStream_t a, b, c, blocking;
    MUST(cudaStreamCreateWithFlags(&a, cudaStreamNonBlocking));
    MUST(cudaStreamCreateWithFlags(&b, cudaStreamNonBlocking));
    int least = 0, greatest = 0, priority = 99;
    MUST(cudaDeviceGetStreamPriorityRange(&least, &greatest));
    MUST(cudaStreamCreateWithPriority(&c, cudaStreamNonBlocking, greatest));
    MUST(cudaStreamGetPriority(c, &priority));
    check(priority == greatest, "priority of a stream");
    unsigned flags = 0;
    MUST(cudaStreamGetFlags(c, &flags));
    printf("flags: %u\n", flags);
    MUST(cudaStreamCreate(&blocking));
    MUST(cudaStreamGetFlags(blocking, &flags));
    printf("flags: %u\n", flags);

    // a holds; b waits for a's event; c waits for b's event. Only the copy in another stream lets them go.
    cudaEvent_t ea, eb;
    MUST(cudaEventCreateWithFlags(&ea, cudaEventDisableTiming));
    MUST(cudaEventCreateWithFlags(&eb, cudaEventDisableTiming));
    length.zero();
    flag.zero();
    MUST(cudaDeviceSynchronize());
    hold<<<1, 1, 0, a>>>(flag);
    append<<<1, 1, 0, a>>>(list, length, 1);
    MUST(cudaEventRecord(ea, a));
    MUST(cudaStreamWaitEvent(b, ea, 0));
    append<<<1, 1, 0, b>>>(list, length, 2);
    MUST(cudaEventRecord(eb, b));
    MUST(cudaStreamWaitEvent(c, eb, 0));
    append<<<1, 1, 0, c>>>(list, length, 3);
    // What the event meant when the wait was issued counts, not what is recorded later.
    MUST(cudaEventRecord(ea, c));
    expect(cudaErrorNotReady, cudaStreamQuery(c), "the last stream waits");
    (void)cudaGetLastError();
    cudaStream_t other;
    MUST(cudaStreamCreateWithFlags(&other, cudaStreamNonBlocking));
    MUST(cudaMemcpyAsync(flag, one, sizeof(int), cudaMemcpyHostToDevice, other));
    MUST(cudaStreamSynchronize(c));
    MUST(cudaDeviceSynchronize());
    print_list("by events", list, length);

    // The legacy default stream waits for blocking streams and they wait for it.
    length.zero();
    flag.zero();
    MUST(cudaDeviceSynchronize());
    hold<<<1, 1, 0, blocking>>>(flag);
    append<<<1, 1, 0, blocking>>>(list, length, 10);
    append<<<1, 1>>>(list, length, 20);
    append<<<1, 1, 0, blocking>>>(list, length, 30);
    // A stream that does not block is past all of this.
    append<<<1, 1, 0, a>>>(list, length, 5);
    MUST(cudaStreamSynchronize(a));
    MUST(cudaMemcpyAsync(flag, one, sizeof(int), cudaMemcpyHostToDevice, other));
    MUST(cudaDeviceSynchronize());
    print_list("by the default stream", list, length);

    // An event recorded in the default stream covers the blocking streams before it.
    length.zero();
    for (int i = 0; i < 6; i++) {
        append<<<1, 1, 0, blocking>>>(list, length, 2 * i);
        append<<<1, 1, 0, cudaStreamLegacy>>>(list, length, 2 * i + 1);
    }
    MUST(cudaStreamSynchronize(0));
    print_list("taking turns", list, length);
    MUST(cudaGetLastError());
    for (cudaStream_t s : {a, b, c, blocking, other}) MUST(cudaStreamDestroy(s));
    MUST(cudaEventDestroy(ea));
    MUST(cudaEventDestroy(eb));
    MUST(cudaFreeHost(one));
    return verdict();
}
