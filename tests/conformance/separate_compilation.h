// What the two files of separate_compilation.cu know of each other.
#pragma once

constexpr int TABLE = 8;

extern __constant__ int table[TABLE];
extern __device__ int counter;
__device__ int given(int x);
__device__ int squared_plus(int x);
void count_from_part(int n);

// A function that both files hold.
template <class T>
__device__ __noinline__ T shared_by_both(T x) { return x ^ 0x55; }
