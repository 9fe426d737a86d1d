// Constant memory and __device__ variables: initial values, copies to and from symbols at offsets, addresses and sizes.
#include "harness.h"

__constant__ float coefficients[5] = {1, 2, 4, 8, 16};
__constant__ struct {
    int scale;
    char text[12];
} settings = {3, "constant"};
__device__ int counter = 41;
__device__ double table[4] = {0.5, 1.5, 2.5, 3.5};
__device__ int zeroed[16];
// A pointer to one variable in the initial value of another.
__device__ double *where = &table[2];

__global__ void use(float *out) {
    float sum = 0;
    for (int i = 0; i < 5; i++) sum += coefficients[i] * (i + 1);
    out[0] = sum;
    out[1] = settings.scale;
    out[2] = settings.text[threadIdx.x + 3];
    out[3] = (float)*where;
    int z = 0;
    for (int v : zeroed) z += v;
    out[4] = z;
    counter += settings.scale;
    table[3] = table[0] + table[1];
}

int main() {
    Device<float> d(5);
    use<<<1, 1>>>(d);
    MUST(cudaGetLastError());
    std::vector<float> h = d.host();
    printf("initial: %g %g %c %g %g\n", h[0], h[1], (char)h[2], h[3], h[4]);

    int count = 0;
    MUST(cudaMemcpyFromSymbol(&count, counter, sizeof count));
    printf("counter: %d\n", count);
    double back[4];
    MUST(cudaMemcpyFromSymbol(back, table, sizeof back));
    printf("table: %g %g %g %g\n", back[0], back[1], back[2], back[3]);

    const float fresh[2] = {100, 1000};
    MUST(cudaMemcpyToSymbol(coefficients, fresh, sizeof fresh, 2 * sizeof(float)));
    const int ones[16] = {1, 1, 1, 1};
    cudaStream_t stream;
    MUST(cudaStreamCreate(&stream));
    MUST(cudaMemcpyToSymbolAsync(zeroed, ones, sizeof ones, 0, cudaMemcpyHostToDevice, stream));
    const double moved = 7.25;
    MUST(cudaMemcpyToSymbolAsync(table, &moved, sizeof moved, 2 * sizeof(double), cudaMemcpyHostToDevice, stream));
    use<<<1, 1, 0, stream>>>(d);
    MUST(cudaStreamSynchronize(stream));
    h = d.host();
    printf("changed: %g %g %c %g %g\n", h[0], h[1], (char)h[2], h[3], h[4]);
    MUST(cudaMemcpyFromSymbolAsync(&count, counter, sizeof count, 0, cudaMemcpyDeviceToHost, stream));
    MUST(cudaStreamSynchronize(stream));
    printf("counter: %d\n", count);
    MUST(cudaStreamDestroy(stream));

    size_t size = 0;
    MUST(cudaGetSymbolSize(&size, coefficients));
    printf("size of coefficients: %zu\n", size);
    MUST(cudaGetSymbolSize(&size, settings));
    printf("size of settings: %zu\n", size);
    void *address = nullptr;
    MUST(cudaGetSymbolAddress(&address, counter));
    const int seventy = 70;
    MUST(cudaMemcpy(address, &seventy, sizeof seventy, cudaMemcpyHostToDevice));
    MUST(cudaMemcpyFromSymbol(&count, counter, sizeof count));
    printf("counter, set by its address: %d\n", count);
    expect(cudaErrorInvalidValue, cudaMemcpyToSymbol(counter, back, sizeof back), "copy of more than the symbol holds");
    int not_a_symbol = 0;
    expect(cudaErrorInvalidSymbol, cudaMemcpyToSymbol(not_a_symbol, back, 4), "copy to what is no symbol");
    return verdict();
}
