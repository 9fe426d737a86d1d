//! Settings for frameworks; what the user has set already stays.
//!
//! Some compile kernels while they run, to machine code, which the software GPU cannot run. Each of them can be told to
//! leave the PTX as it is.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use anyhow::Context as _;

/// Where XLA finds the toolkit, `ptxas` in its `bin`.
const XLA_TOOLKIT: &str = "--xla_gpu_cuda_data_dir=";

/// What XLA must not do on a GPU that runs PTX only: measure algorithms (it checks them with machine code), use tensor
/// cores through Triton, and record graphs.
const XLA_WITHOUT: [&str; 3] = [
    "--xla_gpu_autotune_level=0",
    "--xla_gpu_enable_triton_gemm=false",
    "--xla_gpu_enable_command_buffer=",
];

/// TensorFlow's choice of convolution algorithms by measuring.
const AUTOTUNE: &str = "TF_CUDNN_USE_AUTOTUNE";

/// Tells the frameworks to keep to PTX. `libraries` is a folder of rgpu's libraries; the tools go beside it.
pub(crate) fn keep_ptx(command: &mut Command, libraries: &Path) -> anyhow::Result<()> {
    let toolkit = libraries.with_file_name("toolkit");
    link_tools(&toolkit)?;
    let old = std::env::var_os("XLA_FLAGS").unwrap_or_default();
    if let Some(flags) = xla_flags(old, &toolkit) {
        command.env("XLA_FLAGS", flags);
    }
    // JAX tells XLA itself where the toolkit is: here, or in its wheels.
    if std::env::var_os("CUDA_ROOT").is_none() {
        command.env("CUDA_ROOT", &toolkit);
    }
    // There is nothing to choose between, and what it checks with is machine code.
    if std::env::var_os(AUTOTUNE).is_none() {
        command.env(AUTOTUNE, "0");
    }
    // CuPy: PTX from NVRTC, not machine code.
    if std::env::var_os("CUPY_COMPILE_WITH_PTX").is_none() {
        command.env("CUPY_COMPILE_WITH_PTX", "1");
    }
    Ok(())
}

/// TensorFlow leaves up to 1.8 GB of a GPU to other programs; of a lease, and of a GPU of its own, it need not.
pub(crate) fn leave_the_lease(command: &mut Command) {
    const RESERVE: &str = "TF_DEVICE_MIN_SYS_MEMORY_IN_MB";
    if std::env::var_os(RESERVE).is_none() {
        command.env(RESERVE, RESERVED_MIB);
    }
}

/// For streams, modules and the stacks of kernels, which are not counted by TensorFlow.
const RESERVED_MIB: &str = "64";

/// The flags with our toolkit and without what it cannot do, except for flags that are there already.
fn xla_flags(old: OsString, toolkit: &Path) -> Option<OsString> {
    let given = old.to_string_lossy().into_owned();
    let mut toolkit_flag = OsString::from(XLA_TOOLKIT);
    toolkit_flag.push(toolkit);
    let mut flags = old;
    let mut changed = false;
    let wanted = XLA_WITHOUT.iter().map(OsString::from);
    for flag in wanted.chain([toolkit_flag]) {
        let text = flag.to_string_lossy();
        let name = text.split_inclusive('=').next().unwrap_or_default();
        if given.contains(name) {
            continue;
        }
        if !flags.is_empty() {
            flags.push(" ");
        }
        flags.push(&flag);
        changed = true;
    }
    changed.then_some(flags)
}

/// `bin/ptxas` in the folder is this executable, which knows what to do by that name.
fn link_tools(toolkit: &Path) -> anyhow::Result<()> {
    let link = toolkit.join("bin/ptxas");
    if link.exists() {
        return Ok(());
    }
    let executable = std::env::current_exe().context("cannot find this executable")?;
    fs::create_dir_all(toolkit.join("bin"))
        .and_then(|()| match fs::remove_file(&link) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => symlink(&executable, &link),
        })
        .or_else(|error| match error.kind() {
            // Another process was faster.
            io::ErrorKind::AlreadyExists => Ok(()),
            _ => Err(error),
        })
        .with_context(|| format!("cannot make {}", link.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_of_the_user_stay() {
        let toolkit = Path::new("/lib/toolkit");
        let ours = "--xla_gpu_autotune_level=0 --xla_gpu_enable_triton_gemm=false \
                    --xla_gpu_enable_command_buffer= --xla_gpu_cuda_data_dir=/lib/toolkit";
        let flags = |old: &str| xla_flags(old.into(), toolkit);
        assert_eq!(flags(""), Some(ours.into()));
        assert_eq!(
            flags("--xla_dump_to=/x"),
            Some(format!("--xla_dump_to=/x {ours}").into())
        );
        let own = "--xla_gpu_cuda_data_dir=/usr/local/cuda --xla_gpu_autotune_level=2";
        let added = "--xla_gpu_enable_triton_gemm=false --xla_gpu_enable_command_buffer=";
        assert_eq!(flags(own), Some(format!("{own} {added}").into()));
        assert_eq!(flags(ours), None);
    }

    #[test]
    fn the_assembler_is_this_executable() {
        let folder = tempfile::tempdir().unwrap();
        let toolkit = folder.path().join("toolkit");
        link_tools(&toolkit).unwrap();
        link_tools(&toolkit).unwrap();
        let target = fs::canonicalize(toolkit.join("bin/ptxas")).unwrap();
        let this = std::env::current_exe().unwrap().canonicalize().unwrap();
        assert_eq!(target, this);
    }
}
