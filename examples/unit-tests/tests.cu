// Unit tests of a kernel. They need a CUDA driver, as all CUDA programs do, but not a GPU.
#include "moving_average.h"

#include <cmath>
#include <cstdio>
#include <vector>

static int failed = 0;

static void check(bool good, const char *what)
{
    printf("%s: %s\n", good ? "ok" : "FAILED", what);
    failed += !good;
}

// Runs the kernel with `n` elements said to be there; says what went wrong, if something did.
static std::vector<float> average(const std::vector<float> &in, int n)
{
    float *device_in, *device_out;
    std::vector<float> out(in.size());
    size_t bytes = in.size() * sizeof(float);
    cudaMalloc(&device_in, bytes);
    cudaMalloc(&device_out, bytes);
    cudaMemcpy(device_in, in.data(), bytes, cudaMemcpyHostToDevice);
    moving_average<<<(n + 255) / 256, 256>>>(device_in, device_out, n);
    cudaMemcpy(out.data(), device_out, bytes, cudaMemcpyDeviceToHost);
    cudaError_t error = cudaGetLastError();
    if (error != cudaSuccess) {
        printf("CUDA: %s\n", cudaGetErrorString(error));
        failed++;
    }
    cudaFree(device_in);
    cudaFree(device_out);
    return out;
}

int main(int count, char **)
{
    setvbuf(stdout, nullptr, _IOLBF, 0);  // in order with what others write to stderr
    std::vector<float> constant(1000, 3), line(1000);
    for (int i = 0; i < 1000; i++) line[i] = i;
    bool same = true;
    for (float value : average(constant, 1000)) same &= value == 3;
    check(same, "a constant stays");
    std::vector<float> averages = average(line, 1000);
    check(averages[500] == 500, "a line stays, inside");
    check(averages[0] == 1 && averages[999] == 998, "the ends have fewer neighbours");
    if (count > 1) average(constant, 1 << 20);  // any argument: claim more elements than there are
    return failed != 0;
}
