// Library functions of both precisions; only the fast forms stay short in PTX.
__global__ void math(float* f, double* d, int n, long long* l) {
  int i = threadIdx.x; float x = f[i]; double y = d[i];
  f[0] = expf(x) + logf(x) + rsqrtf(x) + sqrtf(x) + __fdividef(x, 3.f) + x / (x + 1.f) + fmaxf(x, 2.f);
  d[0] = rsqrt(y) + 1.0 / y + fma(y, y, 3.0) + sqrt(y) + y / d[1] + fabs(y) + fmin(y, 2.0);
  f[1] = __sinf(x) + __cosf(x) + __expf(x) + __logf(x) + __frcp_rz(x) + __fadd_ru(x, 1.f) + __saturatef(x) + rintf(x) + floorf(x) + ceilf(x) + truncf(x) + fabsf(x) + copysignf(x, 2.f);
  l[0] = __float2ll_rn(x) + __double2uint_rz(y) + llrint(y) + __float_as_int(x) + __mulhi(n, 3) + __umul64hi(l[1], l[2]) + l[3] / l[4] + l[5] % (unsigned long long)n + __byte_perm(n, 3, 0x2143) + __funnelshift_l(n, 2, 5) + __dp4a(n, n, n) + __usad(n, 2, 3) + __vadd4(n, 33) + __vmaxs2(n, 3) + __vabsdiffu4(n, n);
  l[1] = n < 0 ? -1 : 1; f[2] = isnan(x) || isinf(y); f[3] = (float)y; d[3] = x; f[6] = (short)n; f[7] = (unsigned char)n; l[8] = __isGlobal(f) + __isShared(l) + (signed char)n;
}
__global__ void i128(__int128* a) { a[0] = a[1] * a[2] + a[3] - a[4]; }
