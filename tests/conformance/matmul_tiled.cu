// A tiled matrix product in shared memory, with sizes that leave part tiles at every edge.
#include "harness.h"

constexpr int TILE = 16;

__global__ void matmul(const float *a, const float *b, float *c, int m, int n, int k) {
    __shared__ float ta[TILE][TILE], tb[TILE][TILE];
    int row = blockIdx.y * TILE + threadIdx.y, column = blockIdx.x * TILE + threadIdx.x;
    float sum = 0;
    for (int t = 0; t < k; t += TILE) {
        int ka = t + threadIdx.x, kb = t + threadIdx.y;
        ta[threadIdx.y][threadIdx.x] = row < m && ka < k ? a[row * k + ka] : 0;
        tb[threadIdx.y][threadIdx.x] = column < n && kb < k ? b[kb * n + column] : 0;
        __syncthreads();
        for (int i = 0; i < TILE; i++) sum += ta[threadIdx.y][i] * tb[i][threadIdx.x];
        __syncthreads();
    }
    if (row < m && column < n) c[row * n + column] = sum;
}

int main() {
    const int m = 70, n = 85, k = 93;
    // Small whole numbers: every sum is exact in float, whatever the order of the additions.
    std::vector<float> a(m * k), b(k * n);
    for (int i = 0; i < m * k; i++) a[i] = (i * 7) % 11 - 5;
    for (int i = 0; i < k * n; i++) b[i] = (i * 5) % 13 - 6;
    Device<float> da(a), db(b), dc(m * n);
    matmul<<<dim3((n + TILE - 1) / TILE, (m + TILE - 1) / TILE), dim3(TILE, TILE)>>>(da, db, dc, m, n, k);
    MUST(cudaGetLastError());
    std::vector<float> c = dc.host();
    int different = 0;
    for (int i = 0; i < m; i++)
        for (int j = 0; j < n; j++) {
            float want = 0;
            for (int x = 0; x < k; x++) want += a[i * k + x] * b[x * n + j];
            different += c[i * n + j] != want;
        }
    printf("%d x %d times %d x %d\n", m, k, k, n);
    printf("elements that differ from the host: %d of %d\n", different, m * n);
    check(different == 0, "product");
    return verdict();
}
