// The source of every image in this folder.
extern "C" __global__ void bump(int *p) { p[threadIdx.x] += 1; }
