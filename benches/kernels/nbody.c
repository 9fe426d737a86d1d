/* Accelerations: as nbody.cu, loops over the threads of a block from barrier to barrier. */
#include <math.h>

#define THREADS 256
#define SOFTENING 1e-4f

struct float4 { float x, y, z, w; };

static void all(unsigned blocks, unsigned n, const struct float4 *restrict bodies,
                struct float4 *restrict accelerations)
{
    for (unsigned b = 0; b < blocks; b++) {
        struct float4 others[THREADS], sums[THREADS];
        for (unsigned t = 0; t < THREADS; t++)
            sums[t] = (struct float4){0, 0, 0, 0};
        for (unsigned first = 0; first < n; first += THREADS) {
            for (unsigned t = 0; t < THREADS; t++)
                others[t] = bodies[first + t];
            for (unsigned t = 0; t < THREADS; t++) {
                struct float4 body = bodies[b * THREADS + t];
                float ax = sums[t].x, ay = sums[t].y, az = sums[t].z;
                for (unsigned j = 0; j < THREADS; j++) {
                    float dx = others[j].x - body.x, dy = others[j].y - body.y, dz = others[j].z - body.z;
                    float inverse = 1 / sqrtf(dx * dx + dy * dy + dz * dz + SOFTENING);
                    float pull = others[j].w * inverse * inverse * inverse;
                    ax += dx * pull;
                    ay += dy * pull;
                    az += dz * pull;
                }
                sums[t] = (struct float4){ax, ay, az, 0};
            }
        }
        for (unsigned t = 0; t < THREADS; t++)
            accelerations[b * THREADS + t] = sums[t];
    }
}

void nbody(const unsigned *grid, void **p)
{
    all(grid[0], *(unsigned *)p[0], *(const struct float4 **)p[1], *(struct float4 **)p[2]);
}
