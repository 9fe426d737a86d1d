// Speckle Reducing Anisotropic Diffusion (Yongjian Yu and Scott T. Acton, IEEE Transactions on Image Processing 11 (11),
// 2002) of a film of ultrasound frames.
//
//   despeckle [OPTIONS] INPUT.pgm OUTPUT.pgm
//
// Every iteration of a frame is two kernels: speckle_scale measures q0 in a homogeneous region by a block reduction, and
// diffuse does one step from shared memory tiles. Nothing comes back to the host in between. Frames go round robin over
// streams, so that the copies of one run beside the kernels of another.
#include "options.h"
#include "pgm.h"

#include <chrono>

#define CHECK(call)                                                                                            \
    do {                                                                                                       \
        cudaError_t error_ = (call);                                                                           \
        if (error_ != cudaSuccess)                                                                             \
            throw std::runtime_error(std::string(#call) + ": " + cudaGetErrorString(error_));                  \
    } while (0)

// A block of TILE x ROWS threads works on a tile of TILE x TILE pixels, several rows for each thread.
constexpr int TILE = 32, ROWS = 4;
// What diffuse reads around a tile: one pixel before it, two behind it, since c is needed one pixel further.
constexpr int HALO = TILE + 3;
constexpr int REDUCTION = 128;

// What a kernel measured of a set of pixels.
struct Moments {
    float mean, variance;
};

__global__ void decompress(const unsigned char *grey, float *image, int pixels, float scale) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < pixels) image[i] = expf(grey[i] * scale);
}

__global__ void compress(const float *image, unsigned char *grey, int pixels, float scale) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < pixels) grey[i] = (unsigned char)__float2int_rn(fminf(fmaxf(logf(image[i]) / scale, 0.0f), 255.0f));
}

// The sum over a block of two values for each thread; thread 0 has it.
__device__ float2 block_sum(float2 v) {
    __shared__ float2 warps[REDUCTION / 32];
    for (int d = 16; d > 0; d /= 2) {
        v.x += __shfl_down_sync(0xffffffffu, v.x, d);
        v.y += __shfl_down_sync(0xffffffffu, v.y, d);
    }
    if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = v;
    __syncthreads();
    if (threadIdx.x < 32) {
        v = threadIdx.x < REDUCTION / 32 ? warps[threadIdx.x] : make_float2(0, 0);
        for (int d = REDUCTION / 64; d > 0; d /= 2) {
            v.x += __shfl_down_sync(0xffffffffu, v.x, d);
            v.y += __shfl_down_sync(0xffffffffu, v.y, d);
        }
    }
    return v;
}

// Mean and variance of a region, in one block. Both sums run over the difference to the region's first pixel, which
// keeps the squares small where the mean is large.
__global__ void speckle_scale(const float *image, int width, Region region, Moments *out) {
    float shift = image[region.y * width + region.x];
    float2 sums = make_float2(0, 0);
    for (int i = threadIdx.x; i < region.width * region.height; i += REDUCTION) {
        float v = image[(region.y + i / region.width) * width + region.x + i % region.width] - shift;
        sums.x += v;
        sums.y += v * v;
    }
    sums = block_sum(sums);
    if (threadIdx.x == 0) {
        float count = region.width * region.height, mean = sums.x / count;
        out->mean = mean + shift;
        out->variance = fmaxf(sums.y / count - mean * mean, 0.0f);
    }
}

// A pixel of the image; beyond its edge the pixel at the edge (symmetric boundary).
__device__ float clamped(const float *image, int x, int y, int width, int height) {
    return image[min(max(y, 0), height - 1) * width + min(max(x, 0), width - 1)];
}

// The diffusion coefficient at a place of the tile, from the instantaneous coefficient of variation q (squared) and the
// speckle scale q0 (squared). Outside the image its value meets a difference of zero and does not matter.
__device__ float coefficient(const float (*image)[HALO], int x, int y, float q0) {
    float v = image[y][x], north = image[y - 1][x] - v, south = image[y + 1][x] - v;
    float west = image[y][x - 1] - v, east = image[y][x + 1] - v;
    float gradient = (north * north + south * south + west * west + east * east) / (v * v);
    float laplacian = (north + south + west + east) / v;
    float denominator = 1 + 0.25f * laplacian;
    float q = (0.5f * gradient - 0.0625f * laplacian * laplacian) / (denominator * denominator);
    return fminf(fmaxf(1 / (1 + (q - q0) / (q0 * (1 + q0))), 0.0f), 1.0f);
}

// One step of the diffusion.
__global__ void diffuse(const float *in, float *out, int width, int height, const Moments *speckle, float dt) {
    __shared__ float image[HALO][HALO];
    __shared__ float c[TILE + 1][TILE + 1];
    int tx = threadIdx.x, ty = threadIdx.y, x0 = blockIdx.x * TILE, y0 = blockIdx.y * TILE;
    for (int y = ty; y < HALO; y += ROWS)
        for (int x = tx; x < HALO; x += TILE) image[y][x] = clamped(in, x0 + x - 1, y0 + y - 1, width, height);
    __syncthreads();

    float q0 = fmaxf(speckle->variance / (speckle->mean * speckle->mean), 1e-8f);
    for (int y = ty; y <= TILE; y += ROWS)
        for (int x = tx; x <= TILE; x += TILE) c[y][x] = coefficient(image, x + 1, y + 1, q0);
    __syncthreads();

    for (int y = ty; y < TILE; y += ROWS) {
        if (x0 + tx >= width || y0 + y >= height) break;
        float v = image[y + 1][tx + 1], here = c[y][tx];
        float divergence = c[y + 1][tx] * (image[y + 2][tx + 1] - v) + here * (image[y][tx + 1] - v) +
                           c[y][tx + 1] * (image[y + 1][tx + 2] - v) + here * (image[y + 1][tx] - v);
        out[(y0 + y) * width + x0 + tx] = v + 0.25f * dt * divergence;
    }
}

using Clock = std::chrono::steady_clock;
static double ms_since(Clock::time_point start) {
    return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

// What one stream works with.
struct Lane {
    cudaStream_t stream;
    unsigned char *grey;
    float *image[2];
    Moments *speckle;  // of every iteration, and of the end
};

// The events that a frame passes.
struct Marks {
    cudaEvent_t begin, copied_in, filtered, copied_out;
};

struct Job {
    Options o;
    Film film;
    Region region;
    int pixels;
    unsigned char *in, *out;  // pinned, all frames
    Moments *speckle;         // pinned; for each frame the region at the start and at the end
    std::vector<Lane> lanes;
    std::vector<Marks> marks;
};

static void prepare(Job &job) {
    size_t bytes = job.film.pixels.size();
    CHECK(cudaMallocHost(&job.in, bytes));
    CHECK(cudaMallocHost(&job.out, bytes));
    CHECK(cudaMallocHost(&job.speckle, job.film.frames * 2 * sizeof(Moments)));
    memcpy(job.in, job.film.pixels.data(), bytes);
    job.lanes.resize(std::min(job.o.streams, job.film.frames));
    for (Lane &lane : job.lanes) {
        CHECK(cudaStreamCreateWithFlags(&lane.stream, cudaStreamNonBlocking));
        CHECK(cudaMalloc(&lane.grey, job.pixels));
        for (float *&image : lane.image) CHECK(cudaMalloc(&image, job.pixels * sizeof(float)));
        CHECK(cudaMalloc(&lane.speckle, (job.o.iterations + 1) * sizeof(Moments)));
    }
    job.marks.resize(job.film.frames);
    for (Marks &m : job.marks)
        for (cudaEvent_t *e : {&m.begin, &m.copied_in, &m.filtered, &m.copied_out}) CHECK(cudaEventCreate(e));
}

// Queues all the work of a frame; waits for nothing.
static void enqueue(Job &job, int f) {
    Lane &lane = job.lanes[f % job.lanes.size()];
    Marks &mark = job.marks[f];
    const Options &o = job.o;
    int width = job.film.width, height = job.film.height, blocks = (job.pixels + 255) / 256;
    dim3 grid((width + TILE - 1) / TILE, (height + TILE - 1) / TILE), block(TILE, ROWS);
    size_t offset = f * job.film.frame_size();
    CHECK(cudaEventRecord(mark.begin, lane.stream));
    CHECK(cudaMemcpyAsync(lane.grey, job.in + offset, job.pixels, cudaMemcpyHostToDevice, lane.stream));
    CHECK(cudaEventRecord(mark.copied_in, lane.stream));
    decompress<<<blocks, 256, 0, lane.stream>>>(lane.grey, lane.image[0], job.pixels, o.scale());
    for (int n = 0; n < o.iterations; n++) {
        speckle_scale<<<1, REDUCTION, 0, lane.stream>>>(lane.image[n % 2], width, job.region, lane.speckle + n);
        diffuse<<<grid, block, 0, lane.stream>>>(lane.image[n % 2], lane.image[(n + 1) % 2], width, height, lane.speckle + n, o.dt);
    }
    const float *last = lane.image[o.iterations % 2];
    speckle_scale<<<1, REDUCTION, 0, lane.stream>>>(last, width, job.region, lane.speckle + o.iterations);
    compress<<<blocks, 256, 0, lane.stream>>>(last, lane.grey, job.pixels, o.scale());
    CHECK(cudaGetLastError());
    CHECK(cudaEventRecord(mark.filtered, lane.stream));
    CHECK(cudaMemcpyAsync(job.out + offset, lane.grey, job.pixels, cudaMemcpyDeviceToHost, lane.stream));
    CHECK(cudaMemcpyAsync(job.speckle + 2 * f, lane.speckle, sizeof(Moments), cudaMemcpyDeviceToHost, lane.stream));
    CHECK(cudaMemcpyAsync(job.speckle + 2 * f + 1, lane.speckle + o.iterations, sizeof(Moments), cudaMemcpyDeviceToHost, lane.stream));
    CHECK(cudaEventRecord(mark.copied_out, lane.stream));
}

static void release(Job &job) {
    for (Lane &lane : job.lanes) {
        CHECK(cudaStreamDestroy(lane.stream));
        for (void *p : {(void *)lane.grey, (void *)lane.image[0], (void *)lane.image[1], (void *)lane.speckle}) CHECK(cudaFree(p));
    }
    for (Marks &m : job.marks)
        for (cudaEvent_t e : {m.begin, m.copied_in, m.filtered, m.copied_out}) CHECK(cudaEventDestroy(e));
    for (void *p : {(void *)job.in, (void *)job.out, (void *)job.speckle}) CHECK(cudaFreeHost(p));
}

// Mean and standard deviation of a whole frame in grey values.
static void describe(FILE *file, const char *name, const unsigned char *grey, int pixels, Moments region) {
    double sum = 0, squares = 0;
    for (int i = 0; i < pixels; i++) sum += grey[i], squares += double(grey[i]) * grey[i];
    double mean = sum / pixels, deviation = std::sqrt(std::max(squares / pixels - mean * mean, 0.0));
    double q0 = std::sqrt(region.variance) / region.mean;
    fprintf(file, "\"%s\": {\"mean\": %.4f, \"deviation\": %.4f, \"speckle_index\": %.5f, \"equivalent_looks\": %.3f}", name, mean,
            deviation, q0, q0 > 0 ? 1 / (q0 * q0) : 0.0);
}

struct Times {
    double context, module, processing;
};

static float elapsed(cudaEvent_t a, cudaEvent_t b) {
    float ms = 0;
    CHECK(cudaEventElapsedTime(&ms, a, b));
    return ms;
}

static void write_statistics(const Job &job, const Times &times) {
    cudaDeviceProp device;
    CHECK(cudaGetDeviceProperties(&device, 0));
    FILE *file = fopen(job.o.statistics.c_str(), "w");
    if (!file) throw std::runtime_error("cannot write " + job.o.statistics);
    fprintf(file, "{\n  \"filter\": \"SRAD\", \"device\": \"%s\", \"compute_capability\": \"%d.%d\",\n", device.name, device.major, device.minor);
    fprintf(file, "  \"width\": %d, \"height\": %d, \"iterations\": %d, \"dt\": %g, \"dynamic_range_db\": %g, \"streams\": %zu,\n",
            job.film.width, job.film.height, job.o.iterations, job.o.dt, job.o.dynamic_range, job.lanes.size());
    fprintf(file, "  \"region\": [%d, %d, %d, %d],\n", job.region.x, job.region.y, job.region.width, job.region.height);
    fprintf(file, "  \"ms\": {\"context\": %.3f, \"module\": %.3f, \"processing\": %.3f},\n", times.context, times.module, times.processing);
    fprintf(file, "  \"frames\": [\n");
    for (int f = 0; f < job.film.frames; f++) {
        const Marks &m = job.marks[f];
        fprintf(file, "    {\"frame\": %d, ", f);
        describe(file, "before", job.film.frame(f), job.pixels, job.speckle[2 * f]);
        fprintf(file, ", ");
        describe(file, "after", job.out + f * job.film.frame_size(), job.pixels, job.speckle[2 * f + 1]);
        fprintf(file, ", \"ms\": {\"copy_in\": %.3f, \"kernels\": %.3f, \"copy_out\": %.3f}}%s\n", elapsed(m.begin, m.copied_in),
                elapsed(m.copied_in, m.filtered), elapsed(m.filtered, m.copied_out), f + 1 < job.film.frames ? "," : "");
    }
    fprintf(file, "  ]\n}\n");
    if (fclose(file) != 0) throw std::runtime_error("cannot write " + job.o.statistics);
}

static void run(int argc, char **argv) {
    Job job;
    job.o = parse_options(argc, argv);
    if (job.o.files.size() != 2)
        throw std::runtime_error("usage: despeckle [--iterations N] [--dt T] [--dynamic-range DB] [--region X,Y,W,H] [--streams N]"
                                 " [--statistics FILE.json] INPUT.pgm OUTPUT.pgm");
    job.film = read_film(job.o.files[0]);
    job.pixels = int(job.film.frame_size());
    job.region = fit_region(job.o.region, job.film.width, job.film.height);

    Times times;
    Clock::time_point start = Clock::now();
    CHECK(cudaFree(nullptr));
    times.context = ms_since(start);
    start = Clock::now();
    cudaFuncAttributes attributes;
    for (const void *kernel : {(const void *)decompress, (const void *)compress, (const void *)speckle_scale, (const void *)diffuse})
        CHECK(cudaFuncGetAttributes(&attributes, kernel));
    times.module = ms_since(start);

    start = Clock::now();
    prepare(job);
    for (int f = 0; f < job.film.frames; f++) enqueue(job, f);
    CHECK(cudaDeviceSynchronize());
    times.processing = ms_since(start);

    write_film(job.o.files[1], job.film.width, job.film.height, job.film.frames, job.out);
    if (!job.o.statistics.empty()) write_statistics(job, times);
    printf("%d frames of %d x %d, %d iterations on %zu streams: %.0f ms\n", job.film.frames, job.film.width, job.film.height,
           job.o.iterations, job.lanes.size(), times.processing);
    release(job);
}

int main(int argc, char **argv) {
    try {
        run(argc, argv);
        return 0;
    } catch (const std::exception &e) {
        fprintf(stderr, "despeckle: %s\n", e.what());
        return 1;
    }
}
