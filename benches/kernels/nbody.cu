// Accelerations that bodies (x, y, z, mass) give each other, all pairs, the others by tiles in shared memory.
#define THREADS 256
#define SOFTENING 1e-4f

extern "C" __global__ void nbody(unsigned n, const float4 *__restrict__ bodies, float4 *__restrict__ accelerations)
{
    __shared__ float4 others[THREADS];
    unsigned t = threadIdx.x, own = blockIdx.x * THREADS + t;
    float4 body = bodies[own];
    float ax = 0, ay = 0, az = 0;
    for (unsigned first = 0; first < n; first += THREADS) {
        others[t] = bodies[first + t];
        __syncthreads();
        for (unsigned j = 0; j < THREADS; j++) {
            float dx = others[j].x - body.x, dy = others[j].y - body.y, dz = others[j].z - body.z;
            float inverse = rsqrtf(dx * dx + dy * dy + dz * dz + SOFTENING);
            float pull = others[j].w * inverse * inverse * inverse;
            ax += dx * pull;
            ay += dy * pull;
            az += dz * pull;
        }
        __syncthreads();
    }
    accelerations[own] = make_float4(ax, ay, az, 0);
}
