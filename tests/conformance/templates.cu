// Templates: kernels over types and values, functors, lambdas made in device code, variadic folds, constexpr tables.
#include "harness.h"

template <class T, class F>
__global__ void transform(const T *in, T *out, int n, F f) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) out[i] = f(in[i]);
}

template <class T>
struct Affine {
    T scale, shift;
    __device__ T operator()(T v) const { return v * scale + shift; }
};

template <class F, class G>
struct Compose {
    F f;
    G g;
    template <class T>
    __device__ T operator()(T v) const {
        return f(g(v));
    }
};

struct Twice {
    template <class T>
    __device__ T operator()(T v) const {
        return v + v;
    }
};

template <int N>
struct Polynomial {
    int c[N];
    __device__ int operator()(int x) const {
        int y = 0;
#pragma unroll
        for (int i = N - 1; i >= 0; i--) y = y * x + c[i];
        return y;
    }
};

template <class... T>
__global__ void fold(double *out, T... values) {
    *out = (0.0 + ... + values);
}

template <unsigned N>
struct Primes {
    unsigned value[N];
    constexpr Primes() : value() {
        unsigned found = 0;
        for (unsigned n = 2; found < N; n++) {
            bool prime = true;
            for (unsigned i = 0; i < found; i++) prime = prime && n % value[i] != 0;
            if (prime) value[found++] = n;
        }
    }
};
__constant__ Primes<20> primes = Primes<20>();

__global__ void pick(int *out) {
    auto square = [](int v) { return v * v; };
    int offset = 5;
    auto shifted = [=](int v) { return square(v) + offset; };
    if constexpr (sizeof(void *) == 8) out[threadIdx.x] = shifted(primes.value[threadIdx.x]);
}

template <class T>
static void print(const char *name, const std::vector<T> &v) {
    printf("%s:", name);
    for (const T &x : v) printf(" %g", (double)x);
    printf("\n");
}

int main() {
    std::vector<int> i = {1, 2, 3, 4, 5};
    std::vector<double> d = {0.5, 1.5, 2.5};
    std::vector<short> s = {100, 200, 300, 400};
    Device<int> di(i), oi(5);
    Device<double> dd(d), od(3);
    Device<short> ds(s), os(4);
    transform<<<1, 32>>>(di.ptr, oi.ptr, 5, Affine<int>{3, -1});
    print("affine int", oi.host());
    transform<<<1, 32>>>(dd.ptr, od.ptr, 3, Affine<double>{4, 0.25});
    print("affine double", od.host());
    transform<<<1, 32>>>(ds.ptr, os.ptr, 4, Twice());
    print("twice short", os.host());
    transform<<<1, 32>>>(di.ptr, oi.ptr, 5, Compose<Twice, Compose<Affine<int>, Twice>>{{}, {{10, 1}, {}}});
    print("composed", oi.host());
    transform<<<1, 32>>>(di.ptr, oi.ptr, 5, Polynomial<4>{{1, 0, -2, 1}});
    print("polynomial", oi.host());
    Device<double> sum(1);
    fold<<<1, 1>>>(sum.ptr, 1, 2.5f, 3.25, (short)4, 'a', 1LL << 33);
    print("fold", sum.host());
    Device<int> picked(20);
    pick<<<1, 20>>>(picked);
    print("lambda", picked.host());
    MUST(cudaGetLastError());
    return verdict();
}
