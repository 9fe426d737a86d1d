// Devices, functions, events and streams that do not exist.
#include "harness.h"

static void on_host() {}
__global__ void nothing() {}

int main() {
    int count = 0;
    MUST(cudaGetDeviceCount(&count));
    expect(cudaErrorInvalidDevice, cudaSetDevice(count), "a device past the last");
    expect(cudaErrorInvalidDevice, cudaSetDevice(-1), "device -1");
    cudaDeviceProp p;
    expect(cudaErrorInvalidDevice, cudaGetDeviceProperties(&p, count), "properties of no device");
    int value = 0;
    expect(cudaErrorInvalidValue, cudaDeviceGetAttribute(&value, (cudaDeviceAttr)99999, 0), "an attribute that does not exist");
    expect(cudaErrorInvalidDevice, cudaDeviceGetAttribute(&value, cudaDevAttrWarpSize, count), "an attribute of no device");
    (void)cudaGetLastError();

    expect(cudaErrorInvalidDeviceFunction, cudaLaunchKernel((const void *)on_host, 1, 1, nullptr, 0, 0), "launch of a host function");
    expect(cudaErrorInvalidDeviceFunction, cudaGetLastError(), "last error");
    cudaFuncAttributes attributes;
    expect(cudaErrorInvalidDeviceFunction, cudaFuncGetAttributes(&attributes, (const void *)on_host), "attributes of a host function");
    (void)cudaGetLastError();

    expect(cudaErrorInvalidResourceHandle, cudaEventRecord(nullptr, 0), "record of no event");
    expect(cudaErrorInvalidResourceHandle, cudaEventQuery(nullptr), "query of no event");
    expect(cudaErrorInvalidResourceHandle, cudaEventSynchronize(nullptr), "wait for no event");
    (void)cudaGetLastError();

    cudaStream_t stream;
    expect(cudaErrorInvalidValue, cudaStreamCreateWithFlags(&stream, 0x40), "a stream with unknown flags");
    cudaEvent_t event;
    expect(cudaErrorInvalidValue, cudaEventCreateWithFlags(&event, 0x40), "an event with unknown flags");
    (void)cudaGetLastError();
    nothing<<<1, 1>>>();
    expect(cudaSuccess, cudaDeviceSynchronize(), "the device afterwards");
    return verdict();
}
