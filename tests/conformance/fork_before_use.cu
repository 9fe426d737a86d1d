// Forks before CUDA was used: parent and children each have a session of their own.
#include "harness.h"

#include <sys/wait.h>
#include <unistd.h>

__global__ void square(int *v) { v[threadIdx.x] *= v[threadIdx.x]; }

static int sum_of_squares(int from) {
    std::vector<int> h(32);
    for (int i = 0; i < 32; i++) h[i] = from + i;
    Device<int> d(h);
    square<<<1, 32>>>(d);
    MUST(cudaGetLastError());
    int sum = 0;
    for (int v : d.host()) sum += v;
    return sum;
}

int main() {
    int pipes[3][2];
    pid_t children[3];
    for (int c = 0; c < 3; c++) {
        if (pipe(pipes[c]) != 0) return 2;
        children[c] = fork();
        if (children[c] == 0) {
            int sum = sum_of_squares(c * 10);
            bool written = write(pipes[c][1], &sum, sizeof sum) == sizeof sum;
            _exit(written ? 0 : 1);
        }
    }
    printf("parent: %d\n", sum_of_squares(100));
    for (int c = 0; c < 3; c++) {
        int sum = 0, status = 0;
        check(read(pipes[c][0], &sum, sizeof sum) == sizeof sum, "child %d answered", c);
        waitpid(children[c], &status, 0);
        printf("child %d: %d, exit status %d\n", c, sum, WIFEXITED(status) ? WEXITSTATUS(status) : -1);
    }
    return verdict();
}
