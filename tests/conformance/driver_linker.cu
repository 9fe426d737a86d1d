// The driver's linker: two PTX texts become one image, that loads and runs; what is wrong is said in the error log.
#include "driver.h"

#include <unistd.h>

#include <cstring>
#include <string>
#include <vector>

#define HEAD ".version 7.0\n.target sm_52\n.address_size 64\n"

// Calls what the second text defines, and uses a variable of it.
static const char CALLER[] = HEAD R"(
.extern .func (.param .b32 result) scaled(.param .b32 value);
.extern .global .align 4 .u32 calls;
.func (.param .b32 result) own(.param .b32 value)
{
    .reg .b32 %r<2>;
    ld.param.u32 %r1, [value];
    add.u32 %r1, %r1, 1000;
    st.param.b32 [result], %r1;
    ret;
}
.visible .entry fill(.param .u64 out)
{
    .reg .b32 %r<6>;
    .reg .b64 %rd<4>;
    ld.param.u64 %rd1, [out];
    cvta.to.global.u64 %rd1, %rd1;
    mov.u32 %r1, %tid.x;
    { .param .b32 a; .param .b32 r;
      st.param.b32 [a], %r1;
      call (r), scaled, (a);
      ld.param.b32 %r2, [r]; }
    { .param .b32 a; .param .b32 r;
      st.param.b32 [a], %r2;
      call (r), own, (a);
      ld.param.b32 %r3, [r]; }
    mul.wide.u32 %rd2, %r1, 4;
    add.u64 %rd3, %rd1, %rd2;
    st.global.u32 [%rd3], %r3;
    atom.global.add.u32 %r4, [calls], 1;
    ret;
}
)";

// Has a function of the name that the first text keeps to itself.
static const char CALLEE[] = HEAD R"(
.visible .global .align 4 .u32 calls = 100;
.func (.param .b32 result) own(.param .b32 value)
{
    .reg .b32 %r<2>;
    ld.param.u32 %r1, [value];
    mul.lo.u32 %r1, %r1, 3;
    st.param.b32 [result], %r1;
    ret;
}
.visible .func (.param .b32 result) scaled(.param .b32 value)
{
    .reg .b32 %r<3>;
    ld.param.u32 %r1, [value];
    { .param .b32 a; .param .b32 r;
      st.param.b32 [a], %r1;
      call (r), own, (a);
      ld.param.b32 %r2, [r]; }
    st.param.b32 [result], %r2;
    ret;
}
)";

static const char BROKEN[] = HEAD R"(
.visible .entry broken()
{
    .reg .b32 %r<2>;
    frobnicate.u32 %r1, 1;
    ret;
}
)";

// A link whose error log can be read until it is gone.
struct Link {
    char log[4096] = "";
    CUjit_option options[2] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
    void *values[2] = {log, (void *)sizeof log};
    CUlinkState state;

    Link() { CU_MUST(DRIVER(cuLinkCreate)(2, options, values, &state)); }
    ~Link() { CU_MUST(DRIVER(cuLinkDestroy)(state)); }

    CUresult add(CUjitInputType type, const char *text, size_t size, const char *name) {
        return DRIVER(cuLinkAddData)(state, type, (void *)text, size, name, 0, nullptr, nullptr);
    }
    CUresult add(const char *text, const char *name) { return add(CU_JIT_INPUT_PTX, text, strlen(text) + 1, name); }
    bool says(const char *what) { return strstr(log, what) != nullptr; }
};

// Runs the kernel of an image.
static void run(const void *image) {
    CUmodule module;
    CU_MUST(DRIVER(cuModuleLoadData)(&module, image));
    CUfunction fill;
    CU_MUST(DRIVER(cuModuleGetFunction)(&fill, module, "fill"));
    CUdeviceptr out, calls;
    size_t size = 0;
    CU_MUST(DRIVER(cuModuleGetGlobal)(&calls, &size, module, "calls"));
    const unsigned n = 64;
    CU_MUST(DRIVER(cuMemAlloc)(&out, n * 4));
    void *arguments[] = {&out};
    CU_MUST(DRIVER(cuLaunchKernel)(fill, 1, 1, 1, n, 1, 1, 0, nullptr, arguments, nullptr));
    std::vector<unsigned> values(n);
    unsigned count = 0;
    CU_MUST(DRIVER(cuMemcpyDtoH)(values.data(), out, n * 4));
    CU_MUST(DRIVER(cuMemcpyDtoH)(&count, calls, 4));
    printf("out[1] = %u, out[63] = %u, calls = %u\n", values[1], values[63], count);
    CU_MUST(DRIVER(cuMemFree)(out));
    CU_MUST(DRIVER(cuModuleUnload)(module));
}

int main() {
    CU_MUST(DRIVER(cuInit)(0));
    CUdevice device;
    CU_MUST(DRIVER(cuDeviceGet)(&device, 0));
    CUlinkState none;
    cu_expect(CUDA_ERROR_INVALID_CONTEXT, DRIVER(cuLinkCreate)(0, nullptr, nullptr, &none), "without a context");
    CUcontext context;
    CU_MUST(DRIVER(cuDevicePrimaryCtxRetain)(&context, device));
    CU_MUST(DRIVER(cuCtxSetCurrent)(context));

    {
        Link link;
        CU_MUST(link.add(CALLER, "caller.ptx"));
        CU_MUST(link.add(CALLEE, "callee.ptx"));
        void *image = nullptr;
        size_t size = 0;
        CU_MUST(DRIVER(cuLinkComplete)(link.state, &image, &size));
        cu_check(image && size > 0, "there is an image");
        run(image);
        // The image is of that size: a copy of it is as good.
        std::vector<unsigned long long> copy((size + 7) / 8);
        memcpy(copy.data(), image, size);
        run(copy.data());
    }
    {
        // A file, and an input larger than one message.
        std::string path = "/tmp/driver_linker." + std::to_string((long)getpid()) + ".ptx";
        std::string large = std::string(CALLEE) + "//" + std::string(300000, 'x') + "\n";
        FILE *file = fopen(path.c_str(), "w");
        fputs(CALLER, file);
        fclose(file);
        Link link;
        CU_MUST(DRIVER(cuLinkAddFile)(link.state, CU_JIT_INPUT_PTX, path.c_str(), 0, nullptr, nullptr));
        CU_MUST(link.add(large.c_str(), nullptr));
        remove(path.c_str());
        void *image = nullptr;
        size_t size = 0;
        CU_MUST(DRIVER(cuLinkComplete)(link.state, &image, &size));
        cu_check(image && size > 0, "there is an image of a file and a large text");
        run(image);
        cu_expect(CUDA_ERROR_FILE_NOT_FOUND,
                  DRIVER(cuLinkAddFile)(link.state, CU_JIT_INPUT_PTX, path.c_str(), 0, nullptr, nullptr), "no such file");
    }
    {
        Link link;
        cu_expect(CUDA_ERROR_INVALID_PTX, link.add(BROKEN, "broken.ptx"), "a text that is no PTX");
        cu_check(link.says("frobnicate"), "the log names the instruction");
    }
    {
        Link link;
        CU_MUST(link.add(CALLER, "caller.ptx"));
        void *image;
        size_t size;
        cu_check(DRIVER(cuLinkComplete)(link.state, &image, &size) != CUDA_SUCCESS, "what is not defined does not link");
        cu_check(link.says("scaled"), "the log names the missing function");
    }
    {
        Link link;
        CU_MUST(link.add(CALLEE, "one.ptx"));
        CU_MUST(link.add(CALLEE, "two.ptx"));
        void *image;
        size_t size;
        cu_check(DRIVER(cuLinkComplete)(link.state, &image, &size) != CUDA_SUCCESS, "what is defined twice does not link");
        cu_check(link.says("scaled"), "the log names the function");
    }
    {
        Link link;
        static const char garbage[64] = "\001\002\003\004";
        cu_expect(CUDA_ERROR_INVALID_IMAGE, link.add(CU_JIT_INPUT_FATBINARY, garbage, sizeof garbage, "garbage"),
                  "no fat binary");
        cu_expect(CUDA_ERROR_INVALID_VALUE, link.add(CU_JIT_INPUT_PTX, nullptr, 0, "nothing"), "no data");
    }
    return cu_verdict();
}
