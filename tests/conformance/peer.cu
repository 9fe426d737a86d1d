// Several devices: who they are, memory of each, copies between them, and kernels that reach a peer's memory.
// needs: devices=2
#include "harness.h"

__global__ void add(int *data, int n, int value) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) data[i] += value;
}

__global__ void gather(const int *theirs, int *ours, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) ours[i] = theirs[n - 1 - i];
}

__device__ int variable = 5;

__global__ void bump() { variable += 1; }

int main() {
    int devices = 0, can = -1;
    MUST(cudaGetDeviceCount(&devices));
    printf("devices: %d\n", devices);
    cudaDeviceProp first, second;
    MUST(cudaGetDeviceProperties(&first, 0));
    MUST(cudaGetDeviceProperties(&second, 1));
    check(memcmp(&first.uuid, &second.uuid, sizeof first.uuid) != 0, "different UUIDs");
    check(first.pciBusID != second.pciBusID, "different buses");
    MUST(cudaDeviceCanAccessPeer(&can, 0, 1));
    printf("0 can access 1: %d\n", can);
    MUST(cudaDeviceCanAccessPeer(&can, 0, 0));
    printf("0 can access 0: %d\n", can);
    int supported = -1;
    MUST(cudaDeviceGetP2PAttribute(&supported, cudaDevP2PAttrAccessSupported, 1, 0));
    printf("access supported: %d\n", supported);

    const int n = 100000;
    int *on[2];
    for (int device = 0; device < 2; device++) {
        MUST(cudaSetDevice(device));
        MUST(cudaMalloc(&on[device], n * sizeof(int)));
        MUST(cudaMemset(on[device], 0, n * sizeof(int)));
        add<<<(n + 255) / 256, 256>>>(on[device], n, 10 * (device + 1));
        MUST(cudaDeviceSynchronize());
    }
    for (int device = 0; device < 2; device++) {
        cudaPointerAttributes a;
        MUST(cudaPointerGetAttributes(&a, on[device]));
        printf("memory of device %d\n", a.device);
    }

    // Copies need no access.
    std::vector<int> host(n);
    MUST(cudaSetDevice(0));
    MUST(cudaMemcpyPeer(on[0], 0, on[1], 1, n / 2 * sizeof(int)));
    MUST(cudaMemcpy(host.data(), on[0], n * sizeof(int), cudaMemcpyDefault));
    printf("after a peer copy: %d %d %d %d\n", host[0], host[n / 2 - 1], host[n / 2], host[n - 1]);
    cudaStream_t stream;
    MUST(cudaStreamCreate(&stream));
    add<<<(n + 255) / 256, 256, 0, stream>>>(on[0], n, 1);
    MUST(cudaMemcpyPeerAsync(on[1], 1, on[0], 0, n * sizeof(int), stream));
    MUST(cudaStreamSynchronize(stream));
    MUST(cudaMemcpy(host.data(), on[1], n * sizeof(int), cudaMemcpyDefault));
    printf("and back in a stream: %d %d\n", host[0], host[n - 1]);

    // A kernel of device 0 reads memory of device 1, in which other values lie by then.
    MUST(cudaDeviceEnablePeerAccess(1, 0));
    expect(cudaErrorPeerAccessAlreadyEnabled, cudaDeviceEnablePeerAccess(1, 0), "enabled twice");
    MUST(cudaSetDevice(1));
    for (int i = 0; i < n; i++) host[i] = i;
    MUST(cudaMemcpy(on[1], host.data(), n * sizeof(int), cudaMemcpyHostToDevice));
    MUST(cudaSetDevice(0));
    gather<<<(n + 255) / 256, 256>>>(on[1], on[0], n);
    MUST(cudaDeviceSynchronize());
    MUST(cudaMemcpy(host.data(), on[0], n * sizeof(int), cudaMemcpyDeviceToHost));
    printf("gathered from the peer: %d %d\n", host[0], host[n - 1]);

    // Each device has its own copy of a variable.
    int values[2];
    for (int device = 0; device < 2; device++) {
        MUST(cudaSetDevice(device));
        for (int i = 0; i <= device; i++) bump<<<1, 1>>>();
        MUST(cudaMemcpyFromSymbol(&values[device], variable, sizeof(int)));
    }
    printf("variables: %d %d\n", values[0], values[1]);

    // An event of one device holds a stream of the other.
    cudaEvent_t done;
    MUST(cudaSetDevice(0));
    MUST(cudaEventCreate(&done));
    add<<<(n + 255) / 256, 256, 0, stream>>>(on[0], n, 1);
    MUST(cudaEventRecord(done, stream));
    MUST(cudaSetDevice(1));
    cudaStream_t other;
    MUST(cudaStreamCreate(&other));
    MUST(cudaStreamWaitEvent(other, done, 0));
    MUST(cudaMemcpyPeerAsync(on[1], 1, on[0], 0, n * sizeof(int), other));
    MUST(cudaStreamSynchronize(other));
    MUST(cudaMemcpy(host.data(), on[1], n * sizeof(int), cudaMemcpyDeviceToHost));
    printf("behind an event of the other device: %d %d\n", host[0], host[n - 1]);

    // Without access a kernel faults, in its own device's context only.
    MUST(cudaSetDevice(0));
    MUST(cudaDeviceDisablePeerAccess(1));
    expect(cudaErrorPeerAccessNotEnabled, cudaDeviceDisablePeerAccess(1), "disabled twice");
    gather<<<1, 1>>>(on[1], on[0], 1);
    expect(cudaErrorIllegalAddress, cudaDeviceSynchronize(), "a kernel without access");
    MUST(cudaSetDevice(1));
    MUST(cudaDeviceSynchronize());
    MUST(cudaMemcpy(host.data(), on[1], sizeof(int), cudaMemcpyDeviceToHost));
    printf("the peer goes on: %d\n", host[0]);
    return verdict();
}
