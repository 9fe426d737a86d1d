// Copies and sets in one, two and three dimensions, with pitches, offsets and odd sizes.
#include "harness.h"

__global__ void number(int *data, size_t pitch, int width, int height) {
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x < width && y < height) ((int *)((char *)data + y * pitch))[x] = y * 1000 + x;
}

static void one_dimension() {
    Device<unsigned char> d(1000), e(1000);
    std::vector<unsigned char> h(1000);
    for (int i = 0; i < 1000; i++) h[i] = i;
    MUST(cudaMemcpy(d, h.data(), 1000, cudaMemcpyHostToDevice));
    MUST(cudaMemcpy(e + 3, d + 501, 333, cudaMemcpyDeviceToDevice));
    std::vector<unsigned char> back(333);
    MUST(cudaMemcpy(back.data(), e + 3, 333, cudaMemcpyDeviceToHost));
    check(memcmp(back.data(), h.data() + 501, 333) == 0, "device to device at odd offsets");
    MUST(cudaMemset(d + 10, 0xab, 17));
    back = d.host();
    check(back[9] == 9 && back[10] == 0xab && back[26] == 0xab && back[27] == 27, "set of 17 bytes");
    std::vector<unsigned char> other(1000);
    MUST(cudaMemcpy(other.data(), h.data(), 1000, cudaMemcpyHostToHost));
    check(other == h, "host to host");
    MUST(cudaMemcpy(d, h.data(), 0, cudaMemcpyHostToDevice));
    check(d.host() == back, "a copy of nothing");
}

static void two_dimensions() {
    const int width = 37, height = 21;
    int *d = nullptr;
    size_t pitch = 0;
    MUST(cudaMallocPitch(&d, &pitch, width * sizeof(int), height));
    check(pitch >= width * sizeof(int) && pitch % 32 == 0, "pitch is wide enough and aligned");
    number<<<dim3(3, 3), dim3(16, 8)>>>(d, pitch, width, height);
    MUST(cudaGetLastError());

    std::vector<int> h(width * height, -1);
    MUST(cudaMemcpy2D(h.data(), width * sizeof(int), d, pitch, width * sizeof(int), height, cudaMemcpyDeviceToHost));
    printf("corners: %d %d %d %d\n", h[0], h[width - 1], h[(height - 1) * width], h[height * width - 1]);

    // A window of 5 x 4 from (10, 7) of the device into (2, 3) of a host array of 16 columns.
    std::vector<int> window(16 * 10, 0);
    MUST(cudaMemcpy2D(&window[3 * 16 + 2], 16 * sizeof(int), (char *)d + 7 * pitch + 10 * sizeof(int), pitch, 5 * sizeof(int), 4,
                      cudaMemcpyDeviceToHost));
    long sum = 0;
    for (int v : window) sum += v;
    printf("window: %d %d, sum %ld\n", window[3 * 16 + 2], window[6 * 16 + 6], sum);

    MUST(cudaMemset2D((char *)d + 2 * pitch + 4, pitch, 0xff, 3 * sizeof(int), 2));
    Device<int> packed(width * height);
    MUST(cudaMemcpy2D(packed, width * sizeof(int), d, pitch, width * sizeof(int), height, cudaMemcpyDeviceToDevice));
    h = packed.host();
    printf("set: %d %d %d %d %d, below: %d %d\n", h[2 * width], h[2 * width + 1], h[2 * width + 3], h[2 * width + 4],
           h[3 * width + 2], h[4 * width + 1], h[width + 1]);

    std::vector<int> rows(width * height);
    for (int i = 0; i < width * height; i++) rows[i] = i * 3;
    MUST(cudaMemcpy2D(d, pitch, rows.data(), width * sizeof(int), width * sizeof(int), height, cudaMemcpyHostToDevice));
    MUST(cudaMemcpy2D(h.data(), width * sizeof(int), d, pitch, width * sizeof(int), height, cudaMemcpyDeviceToHost));
    check(h == rows, "there and back");
    expect(cudaErrorInvalidPitchValue, cudaMemcpy2D(h.data(), 8, d, pitch, 16, 2, cudaMemcpyDeviceToHost),
           "a pitch below the width");
    (void)cudaGetLastError();
    MUST(cudaFree(d));
}

static void three_dimensions() {
    const int width = 12, height = 7, depth = 5;
    cudaPitchedPtr volume;
    cudaExtent extent = make_cudaExtent(width * sizeof(short), height, depth);
    MUST(cudaMalloc3D(&volume, extent));
    MUST(cudaMemset3D(volume, 0x11, extent));
    std::vector<short> h(width * height * depth);
    for (size_t i = 0; i < h.size(); i++) h[i] = i;

    // The inner box 6 x 4 x 3 at (2, 1, 1).
    cudaMemcpy3DParms box = {};
    box.srcPtr = make_cudaPitchedPtr(h.data(), width * sizeof(short), width, height);
    box.dstPtr = volume;
    box.srcPos = box.dstPos = make_cudaPos(2 * sizeof(short), 1, 1);
    box.extent = make_cudaExtent(6 * sizeof(short), 4, 3);
    box.kind = cudaMemcpyHostToDevice;
    MUST(cudaMemcpy3D(&box));

    std::vector<short> back(h.size(), 0);
    cudaMemcpy3DParms all = {};
    all.srcPtr = volume;
    all.dstPtr = make_cudaPitchedPtr(back.data(), width * sizeof(short), width, height);
    all.extent = extent;
    all.kind = cudaMemcpyDeviceToHost;
    MUST(cudaMemcpy3DAsync(&all, 0));
    MUST(cudaStreamSynchronize(0));
    int inside = 0, outside = 0;
    for (int z = 0; z < depth; z++)
        for (int y = 0; y < height; y++)
            for (int x = 0; x < width; x++) {
                int i = (z * height + y) * width + x;
                bool in = x >= 2 && x < 8 && y >= 1 && y < 5 && z >= 1 && z < 4;
                (in ? inside : outside) += back[i] == (in ? h[i] : 0x1111);
            }
    printf("inside the box: %d, outside: %d\n", inside, outside);
    check(inside == 72 && outside == 348, "box in a volume");
    MUST(cudaFree(volume.ptr));
}

int main() {
    one_dimension();
    two_dimensions();
    three_dimensions();
    return verdict();
}
