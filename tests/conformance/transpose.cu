// A transposition through a padded shared tile, for elements of 1, 4, 8 and 16 bytes.
#include "harness.h"

template <class T>
__global__ void transpose(const T *in, T *out, int width, int height) {
    __shared__ T tile[32][33];
    int x = blockIdx.x * 32 + threadIdx.x;
    for (int j = threadIdx.y; j < 32; j += 8) {
        int y = blockIdx.y * 32 + j;
        if (x < width && y < height) tile[j][threadIdx.x] = in[y * width + x];
    }
    __syncthreads();
    x = blockIdx.y * 32 + threadIdx.x;
    for (int j = threadIdx.y; j < 32; j += 8) {
        int y = blockIdx.x * 32 + j;
        if (x < height && y < width) out[y * height + x] = tile[threadIdx.x][j];
    }
}

template <class T, class Make>
static void run(const char *name, Make make) {
    const int width = 75, height = 110;
    std::vector<T> in(width * height);
    for (int i = 0; i < width * height; i++) in[i] = make(i);
    Device<T> din(in), dout(width * height);
    transpose<T><<<dim3((width + 31) / 32, (height + 31) / 32), dim3(32, 8)>>>(din, dout, width, height);
    MUST(cudaGetLastError());
    std::vector<T> out = dout.host();
    int different = 0;
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) different += memcmp(&in[y * width + x], &out[x * height + y], sizeof(T)) != 0;
    check(different == 0, "%s, %zu bytes", name, sizeof(T));
}

int main() {
    run<unsigned char>("unsigned char", [](int i) { return (unsigned char)(i * 7); });
    run<float>("float", [](int i) { return i * 0.25f; });
    run<double>("double", [](int i) { return i * 0.125; });
    run<float4>("float4", [](int i) { return make_float4(i, -i, i * 0.5f, 1); });
    return verdict();
}
