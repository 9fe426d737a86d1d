// What the conformance programs share: checks which print what they found, and a device array.
// Every program prints lines that a reader can check against NAME.expected, and a verdict as its last line.
#pragma once

#include <cuda_runtime.h>

#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

static int wrong = 0;

// Ends the program when a call that has to succeed does not.
#define MUST(call) must((call), #call, __LINE__)
static inline void must(cudaError_t got, const char *call, int line) {
    if (got == cudaSuccess) return;
    printf("line %d: %s gave %s (%d)\n", line, call, cudaGetErrorName(got), (int)got);
    fflush(stdout);
    exit(2);
}

// Prints "label: ok", or "label: WRONG" and remembers it for the verdict.
static inline void check(bool good, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf(": %s\n", good ? "ok" : "WRONG");
    if (!good) wrong++;
}

// Prints the error that a call gave, and remembers one which is not the documented one.
static inline void expect(cudaError_t want, cudaError_t got, const char *label) {
    printf("%s: %s (%d)", label, cudaGetErrorName(got), (int)got);
    if (got != want) {
        printf(" WRONG, want %s (%d)", cudaGetErrorName(want), (int)want);
        wrong++;
    }
    printf("\n");
}

// The last line and the exit status of a program.
static inline int verdict() {
    printf("%s\n", wrong ? "FAIL" : "PASS");
    return wrong ? 1 : 0;
}

// A device array which is freed at the end of its scope.
template <class T>
struct Device {
    T *ptr = nullptr;
    size_t count;

    explicit Device(size_t n) : count(n) { MUST(cudaMalloc(&ptr, n * sizeof(T))); }
    explicit Device(const std::vector<T> &from) : Device(from.size()) {
        MUST(cudaMemcpy(ptr, from.data(), count * sizeof(T), cudaMemcpyHostToDevice));
    }
    Device(const Device &) = delete;
    Device &operator=(const Device &) = delete;
    ~Device() { cudaFree(ptr); }

    void zero() { MUST(cudaMemset(ptr, 0, count * sizeof(T))); }
    std::vector<T> host() const {
        std::vector<T> to(count);
        MUST(cudaMemcpy(to.data(), ptr, count * sizeof(T), cudaMemcpyDeviceToHost));
        return to;
    }
    operator T *() const { return ptr; }
};

// A small generator, the same on every machine (xorshift32).
struct Random {
    uint32_t state;
    explicit Random(uint32_t seed) : state(seed) {}
    uint32_t next() {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        return state;
    }
    float unit() { return (next() >> 8) * (1.0f / 16777216.0f); }
};
