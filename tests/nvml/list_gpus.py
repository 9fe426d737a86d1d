"""Lists the remote GPU through the stock `nvidia-ml-py`, from a process that also uses it.

The process takes memory through the driver API, and must then find itself among the GPU's processes.
"""

import ctypes
import os
import time

import pynvml

MEGABYTE = 1 << 20
TAKEN = 64 * MEGABYTE


def take_memory():
    """Makes this process a client with `TAKEN` bytes of GPU memory."""
    cuda = ctypes.CDLL("libcuda.so.1")
    context, address = ctypes.c_void_p(), ctypes.c_uint64()
    assert cuda.cuInit(0) == 0
    assert cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0) == 0
    assert cuda.cuCtxSetCurrent(context) == 0
    assert cuda.cuMemAlloc_v2(ctypes.byref(address), ctypes.c_size_t(TAKEN)) == 0
    # Allocating is not waited for; this is.
    assert cuda.cuCtxSynchronize() == 0


def memory_with(gpu, used):
    """What NVML says of the memory once it has heard of `used` bytes: the worker tells the supervisor on its own."""
    deadline = time.monotonic() + 10
    while True:
        memory = pynvml.nvmlDeviceGetMemoryInfo(gpu)
        if memory.used >= used or time.monotonic() > deadline:
            return memory
        time.sleep(0.01)


def main():
    take_memory()
    pynvml.nvmlInit()
    count = pynvml.nvmlDeviceGetCount()
    print("GPUs:", count)
    assert count == 1
    gpu = pynvml.nvmlDeviceGetHandleByIndex(0)
    print("name:", pynvml.nvmlDeviceGetName(gpu))
    memory = memory_with(gpu, TAKEN)
    print("memory:", memory.total // MEGABYTE, "MiB, in use:", memory.used // MEGABYTE, "MiB")
    assert memory.total > memory.used >= TAKEN
    processes = {p.pid: p.usedGpuMemory for p in pynvml.nvmlDeviceGetComputeRunningProcesses(gpu)}
    print("this process uses:", processes.get(os.getpid(), 0) // MEGABYTE, "MiB")
    assert processes[os.getpid()] >= TAKEN
    pynvml.nvmlShutdown()
    print("PASS")


if __name__ == "__main__":
    main()
