//! Kernel launches.

use std::ffi::c_void;

use cudarc::driver::sys;
use rgpu_proto::limits::MAX_PARAMS;
use rgpu_proto::msg::launch::{Launch, LaunchEx};
use rgpu_proto::status::Status;

use crate::worker::session::{DONE, Handled, Session};

// `CU_LAUNCH_PARAM_*` of cuda.h.
const PARAM_END: *mut c_void = std::ptr::null_mut();
const PARAM_BUFFER_POINTER: *mut c_void = std::ptr::without_provenance_mut(1);
const PARAM_BUFFER_SIZE: *mut c_void = std::ptr::without_provenance_mut(2);

impl Session {
    pub(super) fn launch(&mut self, body: &[u8]) -> Handled {
        let (launch, params) = self.decode_front::<Launch>(body)?;
        self.launch_with(&launch, None, params)
    }

    pub(super) fn launch_ex(&mut self, body: &[u8]) -> Handled {
        let (ex, params) = self.decode_front::<LaunchEx>(body)?;
        self.launch_with(&ex.launch, Some(ex.priority), params)
    }

    fn launch_with(&mut self, launch: &Launch, priority: Option<i32>, params: &[u8]) -> Handled {
        if params.len() > MAX_PARAMS {
            return Err(Status::ERROR_INVALID_VALUE.into());
        }
        // A CUkernel may be launched as it is (CUDA Driver API reference, `cuLaunchKernel`).
        let function = match launch.function.0 {
            0 => self.handles.of(launch.kernel)?,
            _ => self.handles.of(launch.function)?,
        };
        let stream = self.stream_from_here(launch.stream)?;
        // The driver copies the parameters before it returns; 16 is the largest alignment of a parameter.
        let mut aligned = std::mem::take(&mut self.params);
        aligned.resize(params.len().div_ceil(16).max(aligned.len()), 0);
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
        let launched = self.launch_as(launch, priority, function, stream, extra);
        self.params = aligned;
        launched?;
        Ok(DONE)
    }

    fn launch_as(
        &self,
        launch: &Launch,
        priority: Option<i32>,
        function: *mut c_void,
        stream: *mut c_void,
        extra: *mut c_void,
    ) -> Result<(), Status> {
        let ([gx, gy, gz], [bx, by, bz]) = (launch.grid, launch.block);
        let mut attributes = attributes(launch.cooperative, priority);
        if attributes.is_empty() {
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
        let config = sys::CUlaunchConfig {
            gridDimX: gx,
            gridDimY: gy,
            gridDimZ: gz,
            blockDimX: bx,
            blockDimY: by,
            blockDimZ: bz,
            sharedMemBytes: launch.shared,
            hStream: stream.cast(),
            attrs: attributes.as_mut_ptr(),
            numAttrs: attributes.len() as u32,
        };
        // SAFETY: as above; `config` and its attributes are live.
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

/// What `cuLaunchKernelEx` is to heed beside the sizes.
fn attributes(cooperative: bool, priority: Option<i32>) -> Vec<sys::CUlaunchAttribute> {
    use sys::CUlaunchAttributeID::{CU_LAUNCH_ATTRIBUTE_COOPERATIVE, CU_LAUNCH_ATTRIBUTE_PRIORITY};
    let attribute = |id| {
        // SAFETY: every field is a number, a union of numbers or an enum with a zero item, so zero is valid.
        let mut attribute: sys::CUlaunchAttribute = unsafe { std::mem::zeroed() };
        attribute.id = id;
        attribute
    };
    let cooperative = cooperative.then(|| {
        let mut wish = attribute(CU_LAUNCH_ATTRIBUTE_COOPERATIVE);
        wish.value.cooperative = 1;
        wish
    });
    let priority = priority.map(|priority| {
        let mut wish = attribute(CU_LAUNCH_ATTRIBUTE_PRIORITY);
        wish.value.priority = priority;
        wish
    });
    cooperative.into_iter().chain(priority).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_say_what_was_asked_for() {
        assert!(attributes(false, None).is_empty());
        let both = attributes(true, Some(-3));
        // The numbers of CUlaunchAttributeID.
        let ids: Vec<u32> = both.iter().map(|attribute| attribute.id as u32).collect();
        assert_eq!(ids, [2, 8]);
        // SAFETY: set above, by the same names.
        unsafe {
            assert_eq!(both[0].value.cooperative, 1);
            assert_eq!(both[1].value.priority, -3);
        }
        assert_eq!(attributes(false, Some(0)).len(), 1);
    }
}
