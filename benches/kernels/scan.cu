// Inclusive sums within each block: as many steps as the number of threads has bits, a barrier after each.
#define THREADS 256

extern "C" __global__ void scan(const unsigned *__restrict__ in, unsigned *__restrict__ out)
{
    __shared__ unsigned sums[2][THREADS];
    unsigned t = threadIdx.x, i = blockIdx.x * THREADS + t, from = 0;
    sums[0][t] = in[i];
    __syncthreads();
    for (unsigned d = 1; d < THREADS; d *= 2) {
        sums[1 - from][t] = t >= d ? sums[from][t] + sums[from][t - d] : sums[from][t];
        from = 1 - from;
        __syncthreads();
    }
    out[i] = sums[from][t];
}
