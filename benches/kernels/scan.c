/* Inclusive sums within each block: as scan.cu, a loop over the threads of a block from barrier to barrier. */
#define THREADS 256

static void all(unsigned blocks, const unsigned *restrict in, unsigned *restrict out)
{
    for (unsigned b = 0; b < blocks; b++) {
        unsigned sums[2][THREADS], from = 0;
        for (unsigned t = 0; t < THREADS; t++)
            sums[0][t] = in[b * THREADS + t];
        for (unsigned d = 1; d < THREADS; d *= 2) {
            for (unsigned t = 0; t < THREADS; t++)
                sums[1 - from][t] = t >= d ? sums[from][t] + sums[from][t - d] : sums[from][t];
            from = 1 - from;
        }
        for (unsigned t = 0; t < THREADS; t++)
            out[b * THREADS + t] = sums[from][t];
    }
}

void scan(const unsigned *grid, void **p)
{
    all(grid[0], *(const unsigned **)p[0], *(unsigned **)p[1]);
}
