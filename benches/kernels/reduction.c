/* Sums: as reduction.cu, a loop over the threads of a block from barrier to barrier. */
#define THREADS 256
#define EACH 8

static void all(unsigned blocks, const float *restrict in, float *restrict out)
{
    for (unsigned b = 0; b < blocks; b++) {
        float sums[THREADS];
        const float *part = in + b * THREADS * EACH;
        for (unsigned t = 0; t < THREADS; t++) {
            float sum = 0;
            for (unsigned k = 0; k < EACH; k++)
                sum += part[k * THREADS + t];
            sums[t] = sum;
        }
        for (unsigned s = THREADS / 2; s > 0; s /= 2)
            for (unsigned t = 0; t < s; t++)
                sums[t] += sums[t + s];
        out[b] = sums[0];
    }
}

void reduction(const unsigned *grid, void **p)
{
    all(grid[0], *(const float **)p[0], *(float **)p[1]);
}
