// Counts of bytes: each block counts its part in shared memory, then adds that to the whole.
#define THREADS 256
#define EACH 32

extern "C" __global__ void histogram(const unsigned char *__restrict__ data, unsigned *bins)
{
    __shared__ unsigned own[256];
    unsigned t = threadIdx.x;
    const unsigned char *part = data + blockIdx.x * THREADS * EACH;
    own[t] = 0;
    __syncthreads();
    for (unsigned k = 0; k < EACH; k++)
        atomicAdd(&own[part[k * THREADS + t]], 1);
    __syncthreads();
    atomicAdd(&bins[t], own[t]);
}
