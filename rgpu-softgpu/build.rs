//! Link arguments of the shared library.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Programs ask the loader for this name.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libcuda.so.1");
    // Our own calls must not end up in another driver library of the same process.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-Bsymbolic");
}
