//! Generates the control plane's types from its `.proto`, without needing `protoc`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let proto = "../rgpu-proto/proto/control.proto";
    println!("cargo:rerun-if-changed={proto}");
    let descriptors = protox::compile([proto], ["../rgpu-proto/proto"])?;
    tonic_prost_build::configure().compile_fds(descriptors)?;
    Ok(())
}
