// Frames of a film as one file of PGM images (P5, 8 bits), one after another, all of one size.
#pragma once

#include <cctype>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

struct Film {
    int width = 0, height = 0, frames = 0;
    std::vector<uint8_t> pixels;

    size_t frame_size() const { return size_t(width) * height; }
    const uint8_t *frame(int f) const { return pixels.data() + f * frame_size(); }
};

namespace pgm_detail {
// A number of the header; blanks and comments may stand before it.
inline int number(const std::vector<char> &text, size_t &at) {
    while (at < text.size() && (isspace((unsigned char)text[at]) || text[at] == '#')) {
        if (text[at] == '#')
            while (at < text.size() && text[at] != '\n') at++;
        else
            at++;
    }
    long value = 0;
    size_t start = at;
    for (; at < text.size() && isdigit((unsigned char)text[at]) && value <= 1 << 20; at++) value = value * 10 + (text[at] - '0');
    if (at == start || value <= 0 || value > 1 << 20) throw std::runtime_error("not a PGM header");
    return int(value);
}
}  // namespace pgm_detail

inline Film read_film(const std::string &path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) throw std::runtime_error("cannot read " + path);
    std::vector<char> text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    Film film;
    size_t at = 0;
    while (at < text.size()) {
        if (text.size() - at < 3 || text[at] != 'P' || text[at + 1] != '5')
            throw std::runtime_error(path + ": image " + std::to_string(film.frames) + " is no binary PGM");
        at += 2;
        int width = pgm_detail::number(text, at), height = pgm_detail::number(text, at);
        if (pgm_detail::number(text, at) != 255) throw std::runtime_error(path + ": only 8-bit images are read");
        at++;  // the one blank behind the header
        if (film.frames && (width != film.width || height != film.height))
            throw std::runtime_error(path + ": the images are not of one size");
        film.width = width;
        film.height = height;
        if (at > text.size() || text.size() - at < film.frame_size())
            throw std::runtime_error(path + ": image " + std::to_string(film.frames) + " is cut off");
        film.pixels.insert(film.pixels.end(), text.begin() + at, text.begin() + at + film.frame_size());
        at += film.frame_size();
        film.frames++;
    }
    if (!film.frames) throw std::runtime_error(path + " holds no image");
    return film;
}

inline void write_film(const std::string &path, int width, int height, int frames, const uint8_t *pixels) {
    std::ofstream file(path, std::ios::binary);
    for (int f = 0; f < frames; f++) {
        file << "P5\n" << width << " " << height << "\n255\n";
        file.write((const char *)pixels + size_t(f) * width * height, std::streamsize(width) * height);
    }
    if (!file.flush()) throw std::runtime_error("cannot write " + path);
}
