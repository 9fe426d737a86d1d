// Kernel parameters: structures by value, mixed sizes and alignments, pointers in structures, 4 KB of them, and changes
// after the launch, which must not be seen.
#include "harness.h"

struct Small {
    char tag;
    double weight;
    short pair[3];
};

struct Nested {
    Small inner[2];
    const int *data;
    int count;
};

struct Big {
    unsigned words[1023];
};

struct __align__(16) Aligned {
    float x, y, z;
};

struct Empty {};

__global__ void mixed(char a, short b, int c, long long d, float e, double f, bool g, Small s, Nested n, Aligned v,
                      Empty, uchar3 rgb, double *out) {
    out[0] = a + b + c;
    out[1] = (double)d;
    out[2] = e + f;
    out[3] = g;
    out[4] = s.tag + s.weight + s.pair[0] + s.pair[1] + s.pair[2];
    double sum = 0;
    for (int i = 0; i < n.count; i++) sum += n.data[i];
    out[5] = sum;
    out[6] = n.inner[1].weight;
    out[7] = v.x + v.y * v.z;
    out[8] = rgb.x + rgb.y * 10 + rgb.z * 100;
}

// 4096 bytes and a pointer: just past what kernels took before CUDA 12.1.
__global__ void big(Big b, unsigned extra, unsigned long long *out) {
    unsigned long long sum = 0;
    for (int i = threadIdx.x; i < 1023; i += blockDim.x) sum += b.words[i] * (unsigned long long)(i + 1);
    atomicAdd(out, sum + (threadIdx.x == 0 ? extra : 0));
}

// Exactly 4096 bytes; the result goes to a variable.
__device__ unsigned long long total;
struct Full {
    unsigned words[1024];
};
__global__ void full(Full f) {
    unsigned long long sum = 0;
    for (int i = threadIdx.x; i < 1024; i += blockDim.x) sum += f.words[i] ^ i;
    atomicAdd(&total, sum);
}

__global__ void write_at(int *out, int index, int value) { out[index] = value; }

int main() {
    std::vector<int> data = {5, 10, 15, 20};
    Device<int> ddata(data);
    Device<double> out(9);
    Small s = {'A', 0.5, {1, 2, 3}};
    Nested n = {{s, {'B', 2.75, {0, 0, 0}}}, ddata, 4};
    mixed<<<1, 1>>>('a', -100, 70000, 1LL << 40, 0.25f, 1e-3, true, s, n, Aligned{1, 2, 3}, Empty{}, make_uchar3(1, 2, 3), out);
    MUST(cudaGetLastError());
    std::vector<double> h = out.host();
    for (double v : h) printf("%.10g ", v);
    printf("\n");

    static Big b;
    unsigned long long want = 77;
    for (int i = 0; i < 1023; i++) {
        b.words[i] = i * 2654435761u;
        want += b.words[i] * (unsigned long long)(i + 1);
    }
    Device<unsigned long long> sum(1);
    sum.zero();
    big<<<1, 64>>>(b, 77, sum);
    MUST(cudaGetLastError());
    check(sum.host()[0] == want, "4096 bytes and a pointer");

    static Full f;
    want = 0;
    for (int i = 0; i < 1024; i++) {
        f.words[i] = i * 40503u + 1;
        want += f.words[i] ^ i;
    }
    full<<<1, 64>>>(f);
    MUST(cudaGetLastError());
    unsigned long long got = 0;
    MUST(cudaMemcpyFromSymbol(&got, total, sizeof got));
    printf("sum over 4096 bytes of parameters: %llu\n", got);
    check(got == want, "4096 bytes");

    Device<int> written(8);
    int index = 0, value = 0;
    for (int i = 0; i < 8; i++) {
        index = i;
        value = i * i;
        void *arguments[] = {&written.ptr, &index, &value};
        MUST(cudaLaunchKernel((const void *)write_at, 1, 1, arguments, 0, 0));
        index = value = -1;
    }
    std::vector<int> w = written.host();
    for (int v : w) printf("%d ", v);
    printf("\n");
    return verdict();
}
