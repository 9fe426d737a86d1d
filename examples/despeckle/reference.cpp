// The same filter in plain C++ with double precision, and the comparison with what the CUDA program made.
//
//   reference [OPTIONS] INPUT.pgm                    filters and writes nothing (a check that it runs)
//   reference [OPTIONS] INPUT.pgm FILTERED.pgm       filters and compares; exit status 0 if within the tolerance
//   reference [OPTIONS] INPUT.pgm --write OUT.pgm    filters and writes
#include "options.h"
#include "pgm.h"

#include <algorithm>

// How far a grey value of the CUDA program may lie from the reference, on the scale 0 to 255. Half a level is what
// rounding to 8 bits costs; the rest is for float against double over all iterations.
static const double TOLERANCE = 0.5 + 0.02;

// One frame, filtered, as unrounded grey values: the discrete scheme of Yu and Acton (2002), written as they write it.
static std::vector<double> filter(const uint8_t *grey, int width, int height, Region region, const Options &o) {
    const double scale = o.scale();
    std::vector<double> image(size_t(width) * height), c(image.size()), next(image.size());
    for (size_t i = 0; i < image.size(); i++) image[i] = std::exp(grey[i] * scale);
    // Symmetric boundary: the neighbour outside is the pixel at the edge.
    auto at = [&](const std::vector<double> &v, int x, int y) {
        return v[size_t(std::clamp(y, 0, height - 1)) * width + std::clamp(x, 0, width - 1)];
    };
    for (int n = 0; n < o.iterations; n++) {
        // The speckle scale: the coefficient of variation of a homogeneous region.
        double sum = 0, squares = 0;
        for (int y = 0; y < region.height; y++)
            for (int x = 0; x < region.width; x++) {
                double v = at(image, region.x + x, region.y + y);
                sum += v;
                squares += v * v;
            }
        double count = double(region.width) * region.height, mean = sum / count;
        double q0 = std::max(squares / count - mean * mean, 0.0) / (mean * mean);
        q0 = std::max(q0, 1e-8);

        for (int y = 0; y < height; y++)
            for (int x = 0; x < width; x++) {
                double v = at(image, x, y);
                double north = at(image, x, y - 1) - v, south = at(image, x, y + 1) - v;
                double west = at(image, x - 1, y) - v, east = at(image, x + 1, y) - v;
                double gradient = (north * north + south * south + west * west + east * east) / (v * v);
                double laplacian = (north + south + west + east) / v;
                double denominator = 1 + laplacian / 4;
                double q = (gradient / 2 - laplacian * laplacian / 16) / (denominator * denominator);
                c[size_t(y) * width + x] = std::clamp(1 / (1 + (q - q0) / (q0 * (1 + q0))), 0.0, 1.0);
            }
        for (int y = 0; y < height; y++)
            for (int x = 0; x < width; x++) {
                double v = at(image, x, y), here = at(c, x, y);
                double divergence = at(c, x, y + 1) * (at(image, x, y + 1) - v) + here * (at(image, x, y - 1) - v) +
                                    at(c, x + 1, y) * (at(image, x + 1, y) - v) + here * (at(image, x - 1, y) - v);
                next[size_t(y) * width + x] = v + o.dt / 4 * divergence;
            }
        image.swap(next);
    }
    for (double &v : image) v = std::clamp(std::log(v) / scale, 0.0, 255.0);
    return image;
}

static int run(int argc, char **argv) {
    std::string write;
    std::vector<char *> rest;
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--write") == 0 && i + 1 < argc) write = argv[++i];
        else rest.push_back(argv[i]);
    }
    Options o = parse_options(int(rest.size()), rest.data());
    if (o.files.empty() || o.files.size() > 2) throw std::runtime_error("usage: reference [OPTIONS] INPUT.pgm [FILTERED.pgm | --write OUT.pgm]");
    Film in = read_film(o.files[0]);
    Region region = fit_region(o.region, in.width, in.height);
    Film filtered;
    if (o.files.size() == 2) {
        filtered = read_film(o.files[1]);
        if (filtered.width != in.width || filtered.height != in.height || filtered.frames != in.frames)
            throw std::runtime_error("the two films are not of one size");
    }
    std::vector<uint8_t> out(in.pixels.size());
    double largest = 0;
    size_t over = 0;
    for (int f = 0; f < in.frames; f++) {
        std::vector<double> want = filter(in.frame(f), in.width, in.height, region, o);
        for (size_t i = 0; i < want.size(); i++) {
            out[f * in.frame_size() + i] = uint8_t(std::lround(want[i]));
            if (filtered.frames) {
                double difference = std::fabs(filtered.frame(f)[i] - want[i]);
                largest = std::max(largest, difference);
                over += difference > TOLERANCE;
            }
        }
    }
    if (!write.empty()) write_film(write, in.width, in.height, in.frames, out.data());
    if (!filtered.frames) return 0;
    printf("{\"frames\": %d, \"pixels\": %zu, \"largest_difference\": %.6f, \"tolerance\": %.3f, \"over_tolerance\": %zu}\n",
           in.frames, in.pixels.size(), largest, TOLERANCE, over);
    return over == 0 ? 0 : 1;
}

int main(int argc, char **argv) {
    try {
        return run(argc, argv);
    } catch (const std::exception &e) {
        fprintf(stderr, "reference: %s\n", e.what());
        return 2;
    }
}
