// The first program of every introduction: c = a + b, with a grid that does not fit the array evenly.
#include "harness.h"

__global__ void add(const float *a, const float *b, float *c, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) c[i] = a[i] + b[i];
}

int main() {
    const int n = 10007;
    std::vector<float> a(n), b(n);
    for (int i = 0; i < n; i++) a[i] = i, b[i] = 0.5f * i;
    Device<float> da(a), db(b), dc(n);
    add<<<(n + 255) / 256, 256>>>(da, db, dc, n);
    MUST(cudaGetLastError());
    std::vector<float> c = dc.host();
    bool same = true;
    for (int i = 0; i < n; i++) same &= c[i] == 1.5f * i;
    printf("c[0] = %g, c[1] = %g, c[5000] = %g, c[10006] = %g\n", c[0], c[1], c[5000], c[10006]);
    check(same, "all %d sums", n);
    return verdict();
}
