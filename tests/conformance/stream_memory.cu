// Streams that write words of memory and wait for them: conditions, batches, waits that other streams and the host end.
#include "driver.h"

#include <cstdint>
#include <cstring>

static CUdeviceptr words;

static uint32_t word(int index) {
    uint32_t value = 0;
    CU_MUST(DRIVER(cuMemcpyDtoH)(&value, words + 4 * index, 4));
    return value;
}

// A copy from pageable memory may return before it is done, and the streams below do not wait for it.
static void store(int index, uint32_t value) {
    CU_MUST(DRIVER(cuMemcpyHtoD)(words + 4 * index, &value, 4));
    CU_MUST(DRIVER(cuStreamSynchronize)(nullptr));
}

int main() {
    CU_MUST(DRIVER(cuInit)(0));
    CUcontext context;
    CU_MUST(DRIVER(cuCtxCreate)(&context, nullptr, 0, 0));
    int wide = 0, nor = 0;
    CU_MUST(DRIVER(cuDeviceGetAttribute)(&wide, CU_DEVICE_ATTRIBUTE_CAN_USE_64_BIT_STREAM_MEM_OPS, 0));
    CU_MUST(DRIVER(cuDeviceGetAttribute)(&nor, CU_DEVICE_ATTRIBUTE_CAN_USE_STREAM_WAIT_VALUE_NOR, 0));
    cu_check(wide && nor, "64 bits and NOR are announced");

    CU_MUST(DRIVER(cuMemAlloc)(&words, 64));
    CU_MUST(DRIVER(cuMemsetD32)(words, 0, 16));
    // The streams below do not wait for the one that sets.
    CU_MUST(DRIVER(cuCtxSynchronize)());
    CUstream first, second;
    CU_MUST(DRIVER(cuStreamCreate)(&first, CU_STREAM_NON_BLOCKING));
    CU_MUST(DRIVER(cuStreamCreate)(&second, CU_STREAM_NON_BLOCKING));

    // A wait that another stream ends; what comes before it in its stream happens, what comes after does not.
    CU_MUST(DRIVER(cuStreamWriteValue32)(first, words, 7, 0));
    CU_MUST(DRIVER(cuStreamWaitValue32)(first, words + 4, 3, CU_STREAM_WAIT_VALUE_GEQ));
    CU_MUST(DRIVER(cuStreamWriteValue32)(first, words + 8, 9, 0));
    CU_MUST(DRIVER(cuStreamWaitValue32)(second, words, 7, CU_STREAM_WAIT_VALUE_EQ));
    CU_MUST(DRIVER(cuStreamSynchronize)(second));
    cu_expect(CUDA_ERROR_NOT_READY, DRIVER(cuStreamQuery)(first), "a stream that waits");
    cu_check(word(0) == 7 && word(2) == 0, "before and after the wait");
    CU_MUST(DRIVER(cuStreamWriteValue32)(second, words + 4, 2, 0));
    CU_MUST(DRIVER(cuStreamSynchronize)(second));
    cu_expect(CUDA_ERROR_NOT_READY, DRIVER(cuStreamQuery)(first), "2 is less than 3");
    CU_MUST(DRIVER(cuStreamWriteValue32)(second, words + 4, 5, 0));
    CU_MUST(DRIVER(cuStreamSynchronize)(first));
    cu_check(word(2) == 9, "5 is not");

    // The comparison is cyclic: 3 comes after 0xfffffffe.
    store(4, 3);
    CU_MUST(DRIVER(cuStreamWaitValue32)(first, words + 16, 0xfffffffe, CU_STREAM_WAIT_VALUE_GEQ));
    CU_MUST(DRIVER(cuStreamSynchronize)(first));

    // Waits that copies from the host end: a bit that is set, a bit that is clear in both.
    store(4, 0xffff0000);
    CU_MUST(DRIVER(cuStreamWaitValue32)(first, words + 16, 0x6, CU_STREAM_WAIT_VALUE_AND));
    CU_MUST(DRIVER(cuStreamWaitValue32)(second, words + 16, 0xffff, CU_STREAM_WAIT_VALUE_NOR));
    cu_expect(CUDA_ERROR_NOT_READY, DRIVER(cuStreamQuery)(first), "no bit in common");
    cu_expect(CUDA_ERROR_NOT_READY, DRIVER(cuStreamQuery)(second), "all bits taken");
    store(4, 4);
    CU_MUST(DRIVER(cuStreamSynchronize)(first));
    CU_MUST(DRIVER(cuStreamSynchronize)(second));

    // 64 bits, in a batch.
    CUstreamBatchMemOpParams ops[4];
    memset(ops, 0, sizeof ops);
    ops[0].writeValue.operation = CU_STREAM_MEM_OP_WRITE_VALUE_64;
    ops[0].writeValue.address = words + 24;
    ops[0].writeValue.value64 = 0x100000002;
    ops[1].memoryBarrier.operation = CU_STREAM_MEM_OP_BARRIER;
    ops[1].memoryBarrier.flags = CU_STREAM_MEMORY_BARRIER_TYPE_GPU;
    ops[2].waitValue.operation = CU_STREAM_MEM_OP_WAIT_VALUE_64;
    ops[2].waitValue.address = words + 24;
    ops[2].waitValue.value64 = 0x100000001;
    ops[2].waitValue.flags = CU_STREAM_WAIT_VALUE_GEQ;
    ops[3].writeValue.operation = CU_STREAM_MEM_OP_WRITE_VALUE_32;
    ops[3].writeValue.address = words + 32;
    ops[3].writeValue.value = 11;
    CU_MUST(DRIVER(cuStreamBatchMemOp)(first, 4, ops, 0));
    CU_MUST(DRIVER(cuStreamSynchronize)(first));
    cu_check(word(6) == 2 && word(7) == 1 && word(8) == 11, "a batch");
    CU_MUST(DRIVER(cuStreamWriteValue64)(first, words + 40, 0xabcdef0123456789, 0));
    CU_MUST(DRIVER(cuStreamWaitValue64)(first, words + 40, 0xabcdef0123456789, CU_STREAM_WAIT_VALUE_EQ));
    CU_MUST(DRIVER(cuStreamSynchronize)(first));
    cu_check(word(10) == 0x23456789 && word(11) == 0xabcdef01, "64 bits by themselves");

    cu_expect(CUDA_ERROR_INVALID_VALUE, DRIVER(cuStreamWriteValue32)(first, words + 2, 0, 0), "between two words");
    cu_expect(CUDA_ERROR_INVALID_VALUE, DRIVER(cuStreamWriteValue64)(first, words + 4, 0, 0), "between two wide words");
    cu_expect(CUDA_ERROR_INVALID_VALUE, DRIVER(cuStreamWaitValue32)(first, 64, 0, 0), "no memory");
    cu_expect(CUDA_ERROR_INVALID_VALUE, DRIVER(cuStreamWaitValue32)(first, words, 0, 4), "no condition");
    cu_expect(CUDA_ERROR_INVALID_VALUE, DRIVER(cuStreamBatchMemOp)(first, 256, ops, 0), "too many");
    ops[3].writeValue.address = 64;
    ops[0].writeValue.value64 = 77;
    cu_expect(CUDA_ERROR_INVALID_VALUE, DRIVER(cuStreamBatchMemOp)(first, 4, ops, 0), "one of them wrong");
    CU_MUST(DRIVER(cuStreamSynchronize)(first));
    cu_check(word(6) == 2, "then none is done");

    // A wait that nothing ends, ended with its context.
    CU_MUST(DRIVER(cuStreamWaitValue32)(first, words, 0x7fffffff, CU_STREAM_WAIT_VALUE_EQ));
    CU_MUST(DRIVER(cuCtxDestroy)(context));
    return cu_verdict();
}
