// Conway's Game of Life on a torus, a glider and a blinker, with halo cells in shared memory and two buffers.
#include "harness.h"

#include <utility>

constexpr int W = 48, H = 40, B = 8;

__global__ void generation(const unsigned char *in, unsigned char *out) {
    __shared__ unsigned char s[B + 2][B + 2];
    int x0 = blockIdx.x * B - 1, y0 = blockIdx.y * B - 1;
    for (int i = threadIdx.y * B + threadIdx.x; i < (B + 2) * (B + 2); i += B * B) {
        int x = (x0 + i % (B + 2) + W) % W, y = (y0 + i / (B + 2) + H) % H;
        s[i / (B + 2)][i % (B + 2)] = in[y * W + x];
    }
    __syncthreads();
    int x = threadIdx.x + 1, y = threadIdx.y + 1, n = 0;
    for (int dy = -1; dy <= 1; dy++)
        for (int dx = -1; dx <= 1; dx++) n += (dx || dy) && s[y + dy][x + dx];
    out[(y0 + y) * W + x0 + x] = n == 3 || (n == 2 && s[y][x]);
}

int main() {
    std::vector<unsigned char> board(W * H, 0);
    const int glider[5][2] = {{1, 0}, {2, 1}, {0, 2}, {1, 2}, {2, 2}};
    for (auto &c : glider) board[(c[1] + 30) * W + c[0] + 2] = 1;
    for (int x = 0; x < 3; x++) board[10 * W + 30 + x] = 1;
    Device<unsigned char> a(board), b(W * H);
    unsigned char *from = a, *to = b;
    for (int g = 0; g < 41; g++) {
        generation<<<dim3(W / B, H / B), dim3(B, B)>>>(from, to);
        std::swap(from, to);
    }
    MUST(cudaGetLastError());
    MUST(cudaMemcpy(board.data(), from, W * H, cudaMemcpyDeviceToHost));
    int alive = 0;
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++)
            if (board[y * W + x]) {
                printf("(%d,%d) ", x, y);
                alive++;
            }
    printf("\nalive: %d\n", alive);
    return verdict();
}
