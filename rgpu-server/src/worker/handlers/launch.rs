//! Kernel launches.

use std::ffi::c_void;

use cudarc::driver::sys;
use rgpu_proto::limits::MAX_PARAMS;
use rgpu_proto::msg::launch::Launch;
use rgpu_proto::status::Status;

use crate::worker::session::{DONE, Handled, Session};

// `CU_LAUNCH_PARAM_*` of cuda.h.
const PARAM_END: *mut c_void = std::ptr::null_mut();
const PARAM_BUFFER_POINTER: *mut c_void = std::ptr::without_provenance_mut(1);
const PARAM_BUFFER_SIZE: *mut c_void = std::ptr::without_provenance_mut(2);

impl Session {
    pub(super) fn launch(&mut self, body: &[u8]) -> Handled {
        let (launch, params) = self.decode_front::<Launch>(body)?;
        if params.len() > MAX_PARAMS {
            return Err(Status::ERROR_INVALID_VALUE.into());
        }
        // A CUkernel may be launched as it is (CUDA Driver API reference, `cuLaunchKernel`).
        let function = match launch.function.0 {
            0 => self.handles.of(launch.kernel)?,
            _ => self.handles.of(launch.function)?,
        };
        let stream = self.stream(launch.stream)?;
        // The driver copies the parameters before it returns; 16 is the largest alignment of a parameter.
        let mut aligned = vec![0_u128; params.len().div_ceil(16)];
        // SAFETY: `aligned` has at least `params.len()` bytes and is another allocation.
        unsafe {
            std::ptr::copy_nonoverlapping(
                params.as_ptr(),
                aligned.as_mut_ptr().cast(),
                params.len(),
            );
        }
        let mut size = params.len();
        let mut extra = [
            PARAM_BUFFER_POINTER,
            aligned.as_mut_ptr().cast(),
            PARAM_BUFFER_SIZE,
            (&raw mut size).cast(),
            PARAM_END,
        ];
        let extra = if params.is_empty() {
            std::ptr::null_mut()
        } else {
            extra.as_mut_ptr().cast()
        };
        self.launch_as(&launch, function, stream, extra)?;
        Ok(DONE)
    }

    fn launch_as(
        &self,
        launch: &Launch,
        function: *mut c_void,
        stream: *mut c_void,
        extra: *mut c_void,
    ) -> Result<(), Status> {
        let ([gx, gy, gz], [bx, by, bz]) = (launch.grid, launch.block);
        if !launch.cooperative {
            // SAFETY: handles come from the map; `extra` describes a live buffer or is null.
            return unsafe {
                self.driver.cuLaunchKernel(
                    function,
                    gx,
                    gy,
                    gz,
                    bx,
                    by,
                    bz,
                    launch.shared,
                    stream,
                    std::ptr::null_mut(),
                    extra,
                )
            };
        }
        let mut attribute = cooperative_attribute();
        let config = sys::CUlaunchConfig {
            gridDimX: gx,
            gridDimY: gy,
            gridDimZ: gz,
            blockDimX: bx,
            blockDimY: by,
            blockDimZ: bz,
            sharedMemBytes: launch.shared,
            hStream: stream.cast(),
            attrs: &raw mut attribute,
            numAttrs: 1,
        };
        // SAFETY: as above; `config` and its attribute are live.
        unsafe {
            self.driver.cuLaunchKernelEx(
                (&raw const config).cast(),
                function,
                std::ptr::null_mut(),
                extra,
            )
        }
    }
}

fn cooperative_attribute() -> sys::CUlaunchAttribute {
    // SAFETY: every field is a number, a union of numbers or an enum with a zero item, so zero is valid.
    let mut attribute: sys::CUlaunchAttribute = unsafe { std::mem::zeroed() };
    attribute.id = sys::CUlaunchAttributeID::CU_LAUNCH_ATTRIBUTE_COOPERATIVE;
    attribute.value.cooperative = 1;
    attribute
}
