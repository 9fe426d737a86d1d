// The driver API without a link-time library: each function is looked up by name in libcuda.so.1.
#pragma once

#include <cuda.h>
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>

// The compiler's macros map cuMemAlloc to cuMemAlloc_v2 and so on; TEXT sees the mapped name.
#define DRIVER_TEXT_(name) #name
#define DRIVER_TEXT(name) DRIVER_TEXT_(name)
#define DRIVER(name) ((decltype(&name))driver_symbol(DRIVER_TEXT(name)))

static inline void *driver_symbol(const char *name) {
    static void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_GLOBAL);
    if (!library) {
        fprintf(stderr, "cannot open libcuda.so.1: %s\n", dlerror());
        exit(2);
    }
    void *symbol = dlsym(library, name);
    if (!symbol) {
        fprintf(stderr, "libcuda.so.1 has no %s\n", name);
        exit(2);
    }
    return symbol;
}

static inline const char *driver_error_name(CUresult got) {
    const char *name = nullptr;
    if (DRIVER(cuGetErrorName)(got, &name) != CUDA_SUCCESS || !name) return "(no name)";
    return name;
}

static int driver_wrong = 0;

// Ends the program when a call that has to succeed does not.
#define CU_MUST(call) cu_must((call), #call, __LINE__)
static inline void cu_must(CUresult got, const char *call, int line) {
    if (got == CUDA_SUCCESS) return;
    printf("line %d: %s gave %s (%d)\n", line, call, driver_error_name(got), (int)got);
    fflush(stdout);
    exit(2);
}

// Prints the error that a call gave, and remembers one which is not the documented one.
static inline void cu_expect(CUresult want, CUresult got, const char *label) {
    printf("%s: %s (%d)", label, driver_error_name(got), (int)got);
    if (got != want) {
        printf(" WRONG, want %s (%d)", driver_error_name(want), (int)want);
        driver_wrong++;
    }
    printf("\n");
}

static inline void cu_check(bool good, const char *label) {
    printf("%s: %s\n", label, good ? "ok" : "WRONG");
    if (!good) driver_wrong++;
}

static inline int cu_verdict() {
    printf("%s\n", driver_wrong ? "FAIL" : "PASS");
    return driver_wrong ? 1 : 0;
}
