// The vector types: layout, alignment, wide loads and stores, packing, and structures made of them.
#include "harness.h"

struct Particle {
    float4 position;
    float3 velocity;
    int id;
    uchar4 colour;
    double2 charge;
};

__global__ void move(Particle *p, int n, float dt) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    Particle q = p[i];
    q.position.x += q.velocity.x * dt;
    q.position.y += q.velocity.y * dt;
    q.position.z += q.velocity.z * dt;
    q.colour = make_uchar4(q.colour.w, q.colour.z, q.colour.y, q.colour.x);
    q.charge.x = q.charge.y * q.id;
    p[i] = q;
}

__global__ void widen(const int4 *in, longlong2 *out, short4 *narrow, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    int4 v = in[i];
    out[2 * i] = make_longlong2((long long)v.x * 1000000007, (long long)v.y * 1000000007);
    out[2 * i + 1] = make_longlong2((long long)v.z * 1000000007, (long long)v.w * 1000000007);
    narrow[i] = make_short4(v.x, v.y, v.z, v.w);
}

__global__ void bytes(const uchar4 *in, float4 *out, uchar3 *three, int n) {
    int i = threadIdx.x;
    if (i >= n) return;
    uchar4 c = in[i];
    out[i] = make_float4(c.x / 255.0f, c.y / 255.0f, c.z / 255.0f, c.w);
    three[i] = make_uchar3(c.z, c.y, c.x);
}

__global__ void cached_loads(const float2 *in, float2 *out) {
    int i = threadIdx.x;
    float2 a = __ldg(&in[i]), b = __ldcg(&in[(i + 1) % 32]), c = __ldcs(&in[(i + 2) % 32]);
    __stcs(&out[i], make_float2(a.x + b.x + c.x, a.y * b.y * c.y));
}

int main() {
    printf("sizes: float3 %zu float4 %zu uchar3 %zu double2 %zu longlong2 %zu Particle %zu\n", sizeof(float3), sizeof(float4),
           sizeof(uchar3), sizeof(double2), sizeof(longlong2), sizeof(Particle));
    printf("alignments: float3 %zu float4 %zu uchar4 %zu short4 %zu Particle %zu\n", alignof(float3), alignof(float4),
           alignof(uchar4), alignof(short4), alignof(Particle));
    const int n = 100;
    std::vector<Particle> p(n);
    for (int i = 0; i < n; i++)
        p[i] = {make_float4(i, 2 * i, 3 * i, 1), make_float3(1, -1, 0.5f), i, make_uchar4(i, i + 1, i + 2, i + 3), make_double2(0, 1.5)};
    Device<Particle> d(p);
    move<<<2, 64>>>(d, n, 0.5f);
    MUST(cudaGetLastError());
    Particle q = d.host()[99];
    printf("particle %d: %g %g %g %g, colour %d %d %d %d, charge %g %g\n", q.id, q.position.x, q.position.y, q.position.z,
           q.position.w, q.colour.x, q.colour.y, q.colour.z, q.colour.w, q.charge.x, q.charge.y);

    std::vector<int4> v(n);
    for (int i = 0; i < n; i++) v[i] = make_int4(i, -i, i * 1000, i - 50);
    Device<int4> dv(v);
    Device<longlong2> wide(2 * n);
    Device<short4> narrow(n);
    widen<<<1, 128>>>(dv, wide, narrow, n);
    MUST(cudaGetLastError());
    longlong2 w = wide.host()[2 * 42 + 1];
    short4 s = narrow.host()[42];
    printf("wide: %lld %lld, narrow: %d %d %d %d\n", w.x, w.y, s.x, s.y, s.z, s.w);

    std::vector<uchar4> c(16);
    for (int i = 0; i < 16; i++) c[i] = make_uchar4(i * 17, 255 - i, 51, i);
    Device<uchar4> dc(c);
    Device<float4> f(16);
    Device<uchar3> three(16);
    bytes<<<1, 32>>>(dc, f, three, 16);
    MUST(cudaGetLastError());
    float4 g = f.host()[15];
    uchar3 t = three.host()[15];
    printf("bytes: %g %.4f %g %g, reversed %d %d %d\n", g.x, g.y, g.z, g.w, t.x, t.y, t.z);

    std::vector<float2> pairs(32);
    for (int i = 0; i < 32; i++) pairs[i] = make_float2(i, i * 0.5f);
    Device<float2> dp(pairs), dq(32);
    cached_loads<<<1, 32>>>(dp, dq);
    MUST(cudaGetLastError());
    float2 r = dq.host()[10];
    printf("cached loads: %g %g\n", r.x, r.y);
    return verdict();
}
