// Sums: each thread adds EACH elements of its block's part, then the block adds what its threads have, as a tree.
#define THREADS 256
#define EACH 8

extern "C" __global__ void reduction(const float *__restrict__ in, float *__restrict__ out)
{
    __shared__ float sums[THREADS];
    unsigned t = threadIdx.x;
    const float *part = in + blockIdx.x * THREADS * EACH;
    float sum = 0;
    for (unsigned k = 0; k < EACH; k++)
        sum += part[k * THREADS + t];
    sums[t] = sum;
    __syncthreads();
    for (unsigned s = THREADS / 2; s > 0; s /= 2) {
        if (t < s)
            sums[t] += sums[t + s];
        __syncthreads();
    }
    if (t == 0)
        out[blockIdx.x] = sums[0];
}
