//! Arguments of a launch: an array of pointers, or one buffer (`extra`).

use std::ffi::c_void;

use crate::module::Signature;
use crate::status::{Result, Status, require};

/// `CU_LAUNCH_PARAM_END`, `_BUFFER_POINTER`, `_BUFFER_SIZE`.
const END: usize = 0;
const BUFFER_POINTER: usize = 1;
const BUFFER_SIZE: usize = 2;
/// Words of `extra` to look at before it cannot be meant seriously.
const MOST_EXTRA: usize = 16;

/// Where a program has put the arguments.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arguments {
    /// A pointer to each argument, or null.
    kernel_params: *const *const c_void,
    /// Names and values, or null.
    extra: *const *const c_void,
}

impl Arguments {
    /// The two pointers of a launch.
    ///
    /// # Safety
    /// Until [`Self::gather`], they are null or what `cuLaunchKernel` says of them.
    pub(crate) unsafe fn new(kernel_params: *mut c_void, extra: *mut c_void) -> Self {
        Self {
            kernel_params: kernel_params.cast_const().cast(),
            extra: extra.cast_const().cast(),
        }
    }

    /// Copies the arguments into a buffer as the kernel expects them.
    pub(super) fn gather(self, signature: &Signature) -> Result<Vec<u8>> {
        let mut buffer = vec![0u8; signature.params_size() as usize];
        match (self.kernel_params.is_null(), self.extra.is_null()) {
            (false, false) => return Err(Status::ERROR_INVALID_VALUE),
            (true, true) => require(buffer.is_empty())?,
            (false, true) => {
                for (index, &(offset, size)) in signature.params().iter().enumerate() {
                    // SAFETY: `new`'s promise: a pointer for every parameter of the kernel.
                    let from = unsafe { self.kernel_params.add(index).read_unaligned() };
                    require(!from.is_null())?;
                    let to = &mut buffer[offset as usize..][..size as usize];
                    // SAFETY: `new`'s promise: it points to as many bytes as the parameter has.
                    unsafe {
                        from.cast::<u8>()
                            .copy_to_nonoverlapping(to.as_mut_ptr(), to.len());
                    }
                }
            }
            (true, false) => {
                let (from, size) = self.extra_buffer()?;
                require(size == buffer.len())?;
                if size > 0 {
                    require(!from.is_null())?;
                    // SAFETY: `new`'s promise: the buffer has the size that is given with it.
                    unsafe { from.copy_to_nonoverlapping(buffer.as_mut_ptr(), size) };
                }
            }
        }
        Ok(buffer)
    }

    /// The buffer that `extra` names, and its size.
    fn extra_buffer(self) -> Result<(*const u8, usize)> {
        let (mut pointer, mut size) = (std::ptr::null(), 0);
        for index in (0..MOST_EXTRA).step_by(2) {
            // SAFETY: `new`'s promise: pairs of a name and a value, up to END.
            let name = unsafe { self.extra.add(index).read_unaligned() }.addr();
            if name == END {
                return Ok((pointer, size));
            }
            // SAFETY: as above; END was not reached.
            let value = unsafe { self.extra.add(index + 1).read_unaligned() };
            match name {
                BUFFER_POINTER => pointer = value.cast(),
                BUFFER_SIZE => {
                    require(!value.is_null())?;
                    // SAFETY: `new`'s promise: the value points to the size.
                    size = unsafe { value.cast::<usize>().read_unaligned() };
                }
                _ => break,
            }
        }
        Err(Status::ERROR_INVALID_VALUE)
    }
}
