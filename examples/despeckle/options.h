// The options that the CUDA program and the reference share, and what of the filter does not depend on where it runs.
#pragma once

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

struct Region {
    int x, y, width, height;
};

struct Options {
    int iterations = 40;
    float dt = 0.1f;              // the step of time; the scheme is stable up to 1
    float dynamic_range = 40;     // decibels between grey 0 and grey 255
    Region region = {0, 0, 0, 0};  // a homogeneous part of the image, where q0 is measured; the middle if not given
    int streams = 3;
    std::string statistics;
    std::vector<std::string> files;

    // Grey values are logarithms of the amplitude, which SRAD is made for: amplitude = exp(grey * scale).
    float scale() const { return dynamic_range / 20 * std::log(10.0f) / 255; }
};

inline Options parse_options(int argc, char **argv) {
    Options o;
    auto value = [&](int &i) -> const char * {
        if (i + 1 >= argc) throw std::runtime_error(std::string(argv[i]) + " needs a value");
        return argv[++i];
    };
    for (int i = 1; i < argc; i++) {
        std::string a = argv[i];
        if (a == "--iterations") o.iterations = atoi(value(i));
        else if (a == "--dt") o.dt = float(atof(value(i)));
        else if (a == "--dynamic-range") o.dynamic_range = float(atof(value(i)));
        else if (a == "--streams") o.streams = atoi(value(i));
        else if (a == "--statistics") o.statistics = value(i);
        else if (a == "--region") {
            Region &r = o.region;
            if (sscanf(value(i), "%d,%d,%d,%d", &r.x, &r.y, &r.width, &r.height) != 4)
                throw std::runtime_error("--region needs X,Y,WIDTH,HEIGHT");
        } else if (a.compare(0, 2, "--") == 0) throw std::runtime_error("unknown option " + a);
        else o.files.push_back(a);
    }
    if (o.iterations < 0 || o.iterations > 10000) throw std::runtime_error("--iterations: 0 to 10000");
    if (!(o.dt > 0 && o.dt <= 1)) throw std::runtime_error("--dt: more than 0, at most 1");
    if (!(o.dynamic_range > 0 && o.dynamic_range <= 120)) throw std::runtime_error("--dynamic-range: more than 0, at most 120 dB");
    if (o.streams < 1 || o.streams > 32) throw std::runtime_error("--streams: 1 to 32");
    return o;
}

// The region inside an image of the given size; the middle quarter if none was given.
inline Region fit_region(Region r, int width, int height) {
    if (r.width == 0) return {width * 3 / 8, height * 3 / 8, width / 4 > 0 ? width / 4 : 1, height / 4 > 0 ? height / 4 : 1};
    if (r.x < 0 || r.y < 0 || r.width < 1 || r.height < 1 || r.x > width - r.width || r.y > height - r.height)
        throw std::runtime_error("--region does not lie inside the image");
    return r;
}
