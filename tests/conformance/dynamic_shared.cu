// Dynamic shared memory: beside static arrays, carved into parts, and 64 KiB on request.
#include "harness.h"

__global__ void reverse(int *data, int n) {
    extern __shared__ int s[];
    int t = threadIdx.x;
    s[t] = data[t];
    __syncthreads();
    data[t] = s[n - 1 - t];
}

__global__ void carve(double *out, int n) {
    extern __shared__ __align__(16) unsigned char raw[];
    __shared__ int fixed[32];
    double *d = (double *)raw;
    float *f = (float *)(d + n);
    unsigned char *c = (unsigned char *)(f + n);
    int t = threadIdx.x;
    fixed[t % 32] = 1000;
    d[t] = t * 0.5;
    f[t] = t * 2.0f;
    c[t] = t;
    __syncthreads();
    int u = n - 1 - t;
    out[t] = d[u] + f[u] + c[u] + fixed[u % 32];
}

__global__ void large(unsigned *out, int words) {
    extern __shared__ unsigned w[];
    for (int i = threadIdx.x; i < words; i += blockDim.x) w[i] = i * 3u + blockIdx.x;
    __syncthreads();
    unsigned sum = 0;
    for (int i = threadIdx.x; i < words; i += blockDim.x) sum += w[words - 1 - i];
    atomicAdd(&out[blockIdx.x], sum);
}

__global__ void size_of_dynamic(unsigned *out) {
    unsigned dynamic, total;
    asm volatile("mov.u32 %0, %%dynamic_smem_size;" : "=r"(dynamic));
    asm volatile("mov.u32 %0, %%total_smem_size;" : "=r"(total));
    out[0] = dynamic;
    out[1] = total >= dynamic;
}

int main() {
    std::vector<int> h(100);
    for (int i = 0; i < 100; i++) h[i] = i * i;
    Device<int> d(h);
    reverse<<<1, 100, 100 * sizeof(int)>>>(d, 100);
    h = d.host();
    printf("reversed: %d %d %d\n", h[0], h[50], h[99]);

    Device<double> out(64);
    carve<<<1, 64, 64 * 13>>>(out, 64);
    std::vector<double> o = out.host();
    printf("carved: %g %g\n", o[0], o[63]);

    const int bytes = 64 * 1024, words = bytes / 4;
    Device<unsigned> sums(3);
    sums.zero();
    large<<<3, 128, bytes>>>(sums, words);
    expect(cudaErrorInvalidValue, cudaGetLastError(), "64 KiB without asking");
    MUST(cudaFuncSetAttribute(large, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes));
    large<<<3, 128, bytes>>>(sums, words);
    MUST(cudaGetLastError());
    std::vector<unsigned> s = sums.host();
    printf("64 KiB on request: %u %u %u\n", s[0], s[1], s[2]);
    expect(cudaErrorInvalidValue, cudaFuncSetAttribute(large, cudaFuncAttributeMaxDynamicSharedMemorySize, 16 << 20),
           "a request for 16 MiB");
    (void)cudaGetLastError();

    Device<unsigned> sizes(2);
    size_of_dynamic<<<1, 1, 3072>>>(sizes);
    s = sizes.host();
    printf("special register: %u, within the total: %u\n", s[0], s[1]);
    MUST(cudaGetLastError());
    return verdict();
}
