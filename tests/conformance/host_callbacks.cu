// Host functions in a stream: they run in order with kernels and copies, and later work waits for them.
#include "harness.h"

#include <atomic>
#include <string>

static std::string trace;
static std::atomic<int> calls{0};
static std::atomic<bool> gate{false};

__global__ void multiply(int *v, int by) { *v *= by; }

struct Step {
    const char *name;
    int *pinned;
};

static void CUDART_CB note(void *data) {
    Step *step = (Step *)data;
    trace += std::string(step->name) + "=" + std::to_string(*step->pinned) + " ";
    *step->pinned += 1;
    calls++;
}

static void CUDART_CB wait_for_gate(void *) {
    while (!gate) {
    }
    calls++;
}

static void CUDART_CB old_style(cudaStream_t stream, cudaError_t status, void *data) {
    trace += std::string("callback=") + cudaGetErrorName(status) + " ";
    *(cudaStream_t *)data = stream;
    calls++;
}

int main() {
    cudaStream_t stream;
    MUST(cudaStreamCreate(&stream));
    Device<int> d(1);
    int *pinned = nullptr;
    MUST(cudaMallocHost(&pinned, sizeof(int)));
    *pinned = 3;
    Step first = {"first", pinned}, second = {"second", pinned}, third = {"third", pinned};

    // The value goes round: host function, copy to the device, kernel, copy back, host function.
    MUST(cudaLaunchHostFunc(stream, note, &first));
    for (Step *step : {&second, &third}) {
        MUST(cudaMemcpyAsync(d, pinned, sizeof(int), cudaMemcpyHostToDevice, stream));
        multiply<<<1, 1, 0, stream>>>(d, 10);
        MUST(cudaMemcpyAsync(pinned, d, sizeof(int), cudaMemcpyDeviceToHost, stream));
        MUST(cudaLaunchHostFunc(stream, note, step));
    }
    cudaStream_t seen = nullptr;
    MUST(cudaStreamAddCallback(stream, old_style, &seen, 0));
    MUST(cudaStreamSynchronize(stream));
    printf("%s\n", trace.c_str());
    printf("value: %d, calls: %d\n", *pinned, calls.load());
    check(seen == stream, "the callback got its stream");

    // Later work waits for a host function that has not returned.
    cudaEvent_t done;
    MUST(cudaEventCreate(&done));
    MUST(cudaLaunchHostFunc(stream, wait_for_gate, nullptr));
    multiply<<<1, 1, 0, stream>>>(d, 2);
    MUST(cudaEventRecord(done, stream));
    expect(cudaErrorNotReady, cudaEventQuery(done), "behind a host function that waits");
    (void)cudaGetLastError();
    gate = true;
    MUST(cudaEventSynchronize(done));
    printf("calls: %d\n", calls.load());
    printf("device value: %d\n", d.host()[0]);

    // Many of them, in order.
    static std::vector<int> order;
    struct Number {
        int value;
    };
    std::vector<Number> numbers(200);
    for (int i = 0; i < 200; i++) {
        numbers[i].value = i;
        MUST(cudaLaunchHostFunc(stream, [](void *p) { order.push_back(((Number *)p)->value); }, &numbers[i]));
    }
    MUST(cudaStreamSynchronize(stream));
    bool sorted = order.size() == 200;
    for (size_t i = 0; i < order.size(); i++) sorted &= order[i] == (int)i;
    check(sorted, "200 host functions in order");
    MUST(cudaFreeHost(pinned));
    MUST(cudaEventDestroy(done));
    MUST(cudaStreamDestroy(stream));
    return verdict();
}
