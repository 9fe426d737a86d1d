/* C = A B: as matmul.cu, loops over the threads of a block from barrier to barrier. */
#define TILE 16

static void all(const unsigned *grid, unsigned n, const float *restrict a, const float *restrict b,
                float *restrict c)
{
    for (unsigned by = 0; by < grid[1]; by++)
        for (unsigned bx = 0; bx < grid[0]; bx++) {
            float ta[TILE][TILE], tb[TILE][TILE], sums[TILE][TILE] = {{0}};
            unsigned top = by * TILE, left = bx * TILE;
            for (unsigned k = 0; k < n; k += TILE) {
                for (unsigned y = 0; y < TILE; y++)
                    for (unsigned x = 0; x < TILE; x++) {
                        ta[y][x] = a[(top + y) * n + k + x];
                        tb[y][x] = b[(k + y) * n + left + x];
                    }
                for (unsigned y = 0; y < TILE; y++)
                    for (unsigned x = 0; x < TILE; x++) {
                        float sum = sums[y][x];
                        for (unsigned i = 0; i < TILE; i++)
                            sum += ta[y][i] * tb[i][x];
                        sums[y][x] = sum;
                    }
            }
            for (unsigned y = 0; y < TILE; y++)
                for (unsigned x = 0; x < TILE; x++)
                    c[(top + y) * n + left + x] = sums[y][x];
        }
}

void matmul(const unsigned *grid, void **p)
{
    all(grid, *(unsigned *)p[0], *(const float **)p[1], *(const float **)p[2], *(float **)p[3]);
}
