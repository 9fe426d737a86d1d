// What the driver knows of a pointer, and copies whose direction follows from the pointers.
#include "harness.h"

static const char *kind(cudaMemoryType type) {
    switch (type) {
    case cudaMemoryTypeUnregistered: return "unregistered";
    case cudaMemoryTypeHost: return "host";
    case cudaMemoryTypeDevice: return "device";
    case cudaMemoryTypeManaged: return "managed";
    }
    return "?";
}

static cudaPointerAttributes describe(const char *label, const void *p) {
    cudaPointerAttributes a;
    MUST(cudaPointerGetAttributes(&a, p));
    printf("%s: %s\n", label, kind(a.type));
    return a;
}

__device__ int variable;

int main() {
    Device<char> d(1000);
    char *pinned = nullptr;
    MUST(cudaMallocHost(&pinned, 1000));
    std::vector<char> pageable(1000);
    cudaPointerAttributes a = describe("device memory", d.ptr);
    check(a.device == 0 && a.devicePointer == d.ptr && a.hostPointer == nullptr, "  its pointers");
    a = describe("inside of it", d.ptr + 500);
    check(a.devicePointer == d.ptr + 500, "  its pointers");
    a = describe("pinned memory", pinned);
    check(a.hostPointer == pinned, "  its host pointer");
    describe("ordinary memory", pageable.data());
    void *symbol = nullptr;
    MUST(cudaGetSymbolAddress(&symbol, variable));
    describe("a variable", symbol);

    for (int i = 0; i < 1000; i++) pinned[i] = i % 100;
    MUST(cudaMemcpy(d, pinned, 1000, cudaMemcpyDefault));
    MUST(cudaMemcpy(pageable.data(), d, 1000, cudaMemcpyDefault));
    check(memcmp(pageable.data(), pinned, 1000) == 0, "host to device to host by default");
    Device<char> e(1000);
    MUST(cudaMemcpy(e, d, 1000, cudaMemcpyDefault));
    check(e.host() == pageable, "device to device by default");
    std::vector<char> other(1000);
    MUST(cudaMemcpy(other.data(), pinned, 1000, cudaMemcpyDefault));
    check(other == pageable, "host to host by default");
    MUST(cudaFreeHost(pinned));
    return verdict();
}
