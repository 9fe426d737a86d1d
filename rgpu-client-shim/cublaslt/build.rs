//! Link arguments of the shared library.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let arguments = [
        // Programs ask the loader for this name.
        "-Wl,-soname,libcublasLt.so.12",
        // Other libraries ask for symbols of a version with that name. Only GNU's linker can give it to all symbols.
        "-fuse-ld=bfd",
        "-Wl,--default-symver",
        // Our own calls must not end up in another library of the same process.
        "-Wl,-Bsymbolic",
    ];
    for argument in arguments {
        println!("cargo::rustc-cdylib-link-arg={argument}");
    }
}
