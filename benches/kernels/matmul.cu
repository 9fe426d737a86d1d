// C = A B for square matrices of a multiple of TILE, by tiles in shared memory.
#define TILE 16

extern "C" __global__ void matmul(unsigned n, const float *__restrict__ a, const float *__restrict__ b,
                                  float *__restrict__ c)
{
    __shared__ float ta[TILE][TILE], tb[TILE][TILE];
    unsigned x = threadIdx.x, y = threadIdx.y;
    unsigned row = blockIdx.y * TILE + y, column = blockIdx.x * TILE + x;
    float sum = 0;
    for (unsigned k = 0; k < n; k += TILE) {
        ta[y][x] = a[row * n + k + x];
        tb[y][x] = b[(k + y) * n + column];
        __syncthreads();
        for (unsigned i = 0; i < TILE; i++)
            sum += ta[y][i] * tb[i][x];
        __syncthreads();
    }
    c[row * n + column] = sum;
}
