// Recursion, mutual recursion, function pointers, tables of them, and virtual functions.
#include "harness.h"

__device__ __noinline__ unsigned long long fibonacci(int n) { return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2); }

__device__ __noinline__ int ackermann(int m, int n) {
    if (m == 0) return n + 1;
    if (n == 0) return ackermann(m - 1, 1);
    return ackermann(m - 1, ackermann(m, n - 1));
}

__device__ __noinline__ bool is_odd(int n);
__device__ __noinline__ bool is_even(int n) { return n == 0 ? true : is_odd(n - 1); }
__device__ __noinline__ bool is_odd(int n) { return n == 0 ? false : is_even(n - 1); }

__global__ void recurse(unsigned long long *out) {
    int t = threadIdx.x;
    out[t] = fibonacci(t);
    if (t == 0) {
        out[16] = ackermann(2, 3);
        out[17] = is_even(30) * 10 + is_odd(31);
    }
}

typedef float (*Operation)(float, float);
__device__ float add(float a, float b) { return a + b; }
__device__ float subtract(float a, float b) { return a - b; }
__device__ float multiply(float a, float b) { return a * b; }
__device__ Operation operations[3] = {add, subtract, multiply};
__device__ Operation chosen = multiply;

__global__ void by_pointer(float *out, Operation given) {
    int t = threadIdx.x;
    out[t] = operations[t % 3](t + 1, 10);
    if (t == 0) out[6] = given(6, 7);
}

struct Shape {
    __device__ virtual float area() const = 0;
    __device__ virtual int corners() const { return 0; }
};
struct Square : Shape {
    float side;
    __device__ explicit Square(float s) : side(s) {}
    __device__ float area() const override { return side * side; }
    __device__ int corners() const override { return 4; }
};
struct Circle : Shape {
    float radius;
    __device__ explicit Circle(float r) : radius(r) {}
    __device__ float area() const override { return 3 * radius * radius; }
};

__device__ __noinline__ float describe(const Shape &s) { return s.area() * 10 + s.corners(); }

__global__ void virtual_calls(float *out) {
    Square square(threadIdx.x + 1);
    Circle circle(threadIdx.x + 2);
    const Shape *shapes[2] = {&square, &circle};
    out[threadIdx.x] = describe(*shapes[threadIdx.x % 2]);
}

int main() {
    // Nobody can tell the compiler how deep these go.
    MUST(cudaDeviceSetLimit(cudaLimitStackSize, 16384));
    size_t stack = 0;
    MUST(cudaDeviceGetLimit(&stack, cudaLimitStackSize));
    check(stack >= 16384, "a stack of 16 KiB");
    Device<unsigned long long> d(18);
    recurse<<<1, 16>>>(d);
    MUST(cudaGetLastError());
    for (unsigned long long v : d.host()) printf("%llu ", v);
    printf("\n");
    Operation given = nullptr;
    MUST(cudaMemcpyFromSymbol(&given, chosen, sizeof given));
    Device<float> f(7);
    by_pointer<<<1, 6>>>(f, given);
    MUST(cudaGetLastError());
    for (float v : f.host()) printf("%g ", v);
    printf("\n");
    virtual_calls<<<1, 6>>>(f);
    MUST(cudaGetLastError());
    std::vector<float> h = f.host();
    for (int i = 0; i < 6; i++) printf("%g ", h[i]);
    printf("\n");
    return verdict();
}
