// SHA-256 of many messages, one thread each: rotations, constant tables, byte order, local arrays.
#include "harness.h"

#include <string>

__constant__ unsigned K[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01,
    0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc,
    0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
    0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08,
    0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
    0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

__device__ unsigned rotate(unsigned v, int by) { return __funnelshift_r(v, v, by); }

__device__ void compress(unsigned *state, const unsigned char *block) {
    unsigned w[64];
    for (int i = 0; i < 16; i++)
        w[i] = block[4 * i] << 24 | block[4 * i + 1] << 16 | block[4 * i + 2] << 8 | block[4 * i + 3];
    for (int i = 16; i < 64; i++) {
        unsigned s0 = rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3;
        unsigned s1 = rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10;
        w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    unsigned a = state[0], b = state[1], c = state[2], d = state[3], e = state[4], f = state[5], g = state[6], h = state[7];
    for (int i = 0; i < 64; i++) {
        unsigned t1 = h + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + ((e & f) ^ (~e & g)) + K[i] + w[i];
        unsigned t2 = (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
        h = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + t2;
    }
    state[0] += a, state[1] += b, state[2] += c, state[3] += d, state[4] += e, state[5] += f, state[6] += g, state[7] += h;
}

__global__ void digest(const unsigned char *text, const int *starts, unsigned *out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    const unsigned char *message = text + starts[i];
    int length = starts[i + 1] - starts[i], done = 0;
    unsigned state[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    for (; length - done >= 64; done += 64) compress(state, message + done);
    unsigned char block[128] = {};
    int rest = length - done, blocks = rest < 56 ? 1 : 2;
    for (int k = 0; k < rest; k++) block[k] = message[done + k];
    block[rest] = 0x80;
    unsigned long long bits = length * 8ULL;
    for (int k = 0; k < 8; k++) block[blocks * 64 - 1 - k] = bits >> 8 * k;
    for (int k = 0; k < blocks; k++) compress(state, block + 64 * k);
    for (int k = 0; k < 8; k++) out[i * 8 + k] = state[k];
}

int main() {
    std::vector<std::string> messages = {"", "abc", "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", std::string(1000, 'a')};
    for (int i = 0; i < 60; i++) messages.push_back(std::string(i * 3, 'x') + std::to_string(i));
    std::string text;
    std::vector<int> starts = {0};
    for (const std::string &m : messages) text += m, starts.push_back(text.size());
    Device<unsigned char> dt(std::vector<unsigned char>(text.begin(), text.end()));
    Device<int> ds(starts);
    int n = messages.size();
    Device<unsigned> out(n * 8);
    digest<<<(n + 31) / 32, 32>>>(dt, ds, out, n);
    MUST(cudaGetLastError());
    std::vector<unsigned> h = out.host();
    for (int i : {0, 1, 2, 3, n - 1}) {
        for (int k = 0; k < 8; k++) printf("%08x", h[i * 8 + k]);
        printf("\n");
    }
    unsigned all[8] = {};
    for (int i = 0; i < n * 8; i++) all[i % 8] ^= h[i];
    printf("xor of all: ");
    for (unsigned v : all) printf("%08x", v);
    printf("\n");
    return verdict();
}
