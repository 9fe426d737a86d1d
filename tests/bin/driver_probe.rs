//! A CUDA program on the driver API, as an application would be: it opens `libcuda.so.1` by name.
//!
//! `driver-probe MODE`; prints a line for each thing it has done, and ends with the CUDA error's number, if any.
//!
//! | mode | does |
//! |---|---|
//! | `sum` | adds up numbers on the GPU a few times and checks the sum |
//! | `loop` | the same, for ever |
//! | `wild` | writes through a wild pointer, then makes a further call |
//! | `spin` | waits for a kernel that does not end |
//! | `poll` | asks of a hundred events again and again whether they have happened |

mod calls;

use std::ffi::{CString, c_char, c_void};
use std::process::ExitCode;

use calls::{Failed, Library, cu, null};

const KERNELS: &str = r#"
.version 7.5
.target sm_75
.address_size 64

.visible .entry add_index(.param .u64 data, .param .u32 n)
{
    .reg .pred %p;
    .reg .b32 %r<6>;
    .reg .b64 %rd<4>;
    ld.param.u64 %rd0, [data];
    ld.param.u32 %r0, [n];
    mov.u32 %r1, %ctaid.x;
    mov.u32 %r2, %ntid.x;
    mov.u32 %r3, %tid.x;
    mad.lo.s32 %r4, %r1, %r2, %r3;
    setp.ge.u32 %p, %r4, %r0;
    @%p bra done;
    mul.wide.u32 %rd1, %r4, 4;
    add.s64 %rd2, %rd0, %rd1;
    ld.global.u32 %r5, [%rd2];
    add.u32 %r5, %r5, %r4;
    st.global.u32 [%rd2], %r5;
done:
    ret;
}

.visible .entry wild()
{
    .reg .b32 %r0;
    .reg .b64 %rd0;
    mov.u64 %rd0, 64;
    mov.u32 %r0, 1;
    st.global.u32 [%rd0], %r0;
    ret;
}

.visible .entry spin(.param .u64 flag)
{
    .reg .pred %p;
    .reg .b32 %r0;
    .reg .b64 %rd0;
    ld.param.u64 %rd0, [flag];
again:
    ld.volatile.global.u32 %r0, [%rd0];
    setp.eq.u32 %p, %r0, 0;
    @%p bra again;
    ret;
}
"#;

/// Numbers added up.
const N: u32 = 4096;

fn main() -> ExitCode {
    let mode = std::env::args().nth(1).unwrap_or_default();
    calls::ended(run(&Library::open("libcuda.so.1"), &mode))
}

fn run(cuda: &Library, mode: &str) -> Result<(), Failed> {
    let (mut device, mut context, mut module) = (0_i32, null(), null());
    cu!(cuda, "cuInit", 0 => u32)?;
    cu!(cuda, "cuDeviceGet", &raw mut device => *mut i32, 0 => i32)?;
    cu!(cuda, "cuDevicePrimaryCtxRetain", &raw mut context => *mut *mut c_void, device => i32)?;
    cu!(cuda, "cuCtxSetCurrent", context => *mut c_void)?;
    let text = CString::new(KERNELS).expect("no NUL");
    cu!(cuda, "cuModuleLoadData", &raw mut module => *mut *mut c_void, text.as_ptr() => *const c_char)?;
    match mode {
        "sum" => (0..20).try_for_each(|_| sum(cuda, module)),
        "loop" => loop {
            sum(cuda, module)?;
            println!("summed");
        },
        "wild" => wild(cuda, module),
        "spin" => spin(cuda, module),
        "poll" => poll(cuda, module),
        other => panic!("no mode `{other}`"),
    }
}

fn function(cuda: &Library, module: *mut c_void, name: &str) -> Result<*mut c_void, Failed> {
    let mut function = null();
    let name = CString::new(name).expect("no NUL");
    cu!(cuda, "cuModuleGetFunction", &raw mut function => *mut *mut c_void, module => *mut c_void,
        name.as_ptr() => *const c_char)?;
    Ok(function)
}

fn launch(
    cuda: &Library,
    function: *mut c_void,
    blocks: u32,
    threads: u32,
    params: &mut [*mut c_void],
) -> Result<(), Failed> {
    cu!(cuda, "cuLaunchKernel", function => *mut c_void, blocks => u32, 1 => u32, 1 => u32, threads => u32,
        1 => u32, 1 => u32, 0 => u32, null() => *mut c_void, params.as_mut_ptr() => *mut *mut c_void,
        std::ptr::null_mut() => *mut *mut c_void)
}

/// Polls an event behind each of a hundred kernels.
fn poll(cuda: &Library, module: *mut c_void) -> Result<(), Failed> {
    const NOT_READY: u32 = 600;
    type Query = unsafe extern "C" fn(*mut c_void) -> u32;
    // SAFETY: the signature is that of the driver API's function of this name.
    let query = unsafe { cuda.function::<Query>("cuEventQuery") };
    let add_index = function(cuda, module, "add_index")?;
    let (mut data, mut event, mut n) = (0_u64, null(), N);
    cu!(cuda, "cuMemAlloc_v2", &raw mut data => *mut u64, 4 * N as usize => usize)?;
    cu!(cuda, "cuEventCreate", &raw mut event => *mut *mut c_void, 0 => u32)?;
    for _ in 0..100 {
        let mut params = [(&raw mut data).cast(), (&raw mut n).cast()];
        launch(cuda, add_index, N / 256, 256, &mut params)?;
        cu!(cuda, "cuEventRecord", event => *mut c_void, null() => *mut c_void)?;
        loop {
            // SAFETY: the event was created above.
            match unsafe { query(event) } {
                0 => break,
                NOT_READY => std::hint::spin_loop(),
                error => return Err(Failed(error)),
            }
        }
    }
    println!("polled");
    Ok(())
}

/// Adds up numbers on the GPU and checks the sum.
fn sum(cuda: &Library, module: *mut c_void) -> Result<(), Failed> {
    let add_index = function(cuda, module, "add_index")?;
    let mut data = 0_u64;
    let mut host = vec![7_u32; N as usize];
    let bytes = host.len() * 4;
    cu!(cuda, "cuMemAlloc_v2", &raw mut data => *mut u64, bytes => usize)?;
    cu!(cuda, "cuMemcpyHtoD_v2", data => u64, host.as_ptr().cast() => *const c_void, bytes => usize)?;
    let mut n = N;
    launch(
        cuda,
        add_index,
        N / 256,
        256,
        &mut [(&raw mut data).cast(), (&raw mut n).cast()],
    )?;
    cu!(cuda, "cuMemcpyDtoH_v2", host.as_mut_ptr().cast() => *mut c_void, data => u64, bytes => usize)?;
    cu!(cuda, "cuMemFree_v2", data => u64)?;
    let right = host.iter().zip(0..).all(|(&got, index)| got == 7 + index);
    println!("{}", if right { "right" } else { "wrong" });
    if right { Ok(()) } else { Err(Failed(1)) }
}

fn wild(cuda: &Library, module: *mut c_void) -> Result<(), Failed> {
    let wild = function(cuda, module, "wild")?;
    launch(cuda, wild, 1, 1, &mut [])?;
    // Both report the error: it stays.
    let first = cu!(cuda, "cuCtxSynchronize");
    let mut data = 0_u64;
    let second = cu!(cuda, "cuMemAlloc_v2", &raw mut data => *mut u64, 4 => usize);
    first.and(second)
}

fn spin(cuda: &Library, module: *mut c_void) -> Result<(), Failed> {
    let spin = function(cuda, module, "spin")?;
    let mut flag = 0_u64;
    cu!(cuda, "cuMemAlloc_v2", &raw mut flag => *mut u64, 4 => usize)?;
    cu!(cuda, "cuMemsetD32_v2", flag => u64, 0 => u32, 1 => usize)?;
    launch(cuda, spin, 1, 1, &mut [(&raw mut flag).cast()])?;
    println!("spinning");
    cu!(cuda, "cuCtxSynchronize")
}
