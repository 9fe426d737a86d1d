// A fork after CUDA was used: the child gets the error that NVIDIA documents, and the parent goes on.
#include "harness.h"

#include <sys/wait.h>
#include <unistd.h>

__global__ void add(int *p, int v) { *p += v; }

int main() {
    Device<int> d(1);
    d.zero();
    add<<<1, 1>>>(d, 40);
    MUST(cudaDeviceSynchronize());
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        void *p = nullptr;
        cudaError_t first = cudaMalloc(&p, 64);
        add<<<1, 1>>>(d, 1000);
        cudaError_t second = cudaGetLastError();
        int h = 0;
        cudaError_t third = cudaMemcpy(&h, d, sizeof h, cudaMemcpyDeviceToHost);
        printf("child: %s (%d), %s (%d), %s (%d)\n", cudaGetErrorName(first), first, cudaGetErrorName(second), second,
               cudaGetErrorName(third), third);
        fflush(stdout);
        _exit(first == cudaErrorInitializationError ? 7 : 8);
    }
    int status = 0;
    waitpid(child, &status, 0);
    printf("exit status of the child: %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
    add<<<1, 1>>>(d, 2);
    MUST(cudaGetLastError());
    printf("parent: %d\n", d.host()[0]);

    // A child that starts another program may use CUDA again; this one does not return here.
    child = fork();
    if (child == 0) {
        execlp("true", "true", (char *)nullptr);
        _exit(9);
    }
    waitpid(child, &status, 0);
    printf("exit status of the program: %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
    add<<<1, 1>>>(d, 3);
    printf("parent: %d\n", d.host()[0]);
    return verdict();
}
