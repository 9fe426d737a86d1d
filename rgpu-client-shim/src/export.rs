//! What the undocumented tables of `cuGetExportTable` need of this driver.

use std::ffi::c_void;

use rgpu_driver_abi::export_table::{Backend, Unknown};
use rgpu_driver_abi::integrity::DeviceIdentity;
use rgpu_proto::handle::{Context, Id};
use rgpu_proto::status::Status;

use crate::names::Hold;
use crate::{api, client};

/// This driver.
#[derive(Debug)]
pub(crate) struct Tables;

/// What `cuDriverGetVersion` says: at most the version whose functions this library has.
pub(crate) fn driver_version() -> i32 {
    client::get().map_or(client::OWN_VERSION, |client| {
        client.hello.driver_version.min(client::OWN_VERSION)
    })
}

impl Backend for Tables {
    fn driver_version() -> i32 {
        driver_version()
    }

    fn devices() -> Result<Vec<DeviceIdentity>, Status> {
        let identity = |device: &crate::shadow::devices::DeviceShadow| DeviceIdentity {
            uuid: device.uuid,
            pci_domain: device.attribute_or(50, 0),
            pci_bus: device.attribute_or(33, 0),
            pci_device: device.attribute_or(34, 0),
        };
        Ok(client::get()?.devices.iter().map(identity).collect())
    }

    fn current_context() -> Result<*mut c_void, Status> {
        client::get()?;
        Ok(Id::<Context>::new(crate::thread::current_context()).to_c())
    }

    fn is_context(context: *mut c_void) -> bool {
        let (Ok(client), Some(id)) = (client::get(), Id::<Context>::from_c(context)) else {
            return false;
        };
        client.contexts.hold().check(id.0).is_ok()
    }

    fn primary_context(device: i32) -> Result<*mut c_void, Status> {
        let id = client::get()?.contexts.hold().primary(device)?;
        Ok(Id::<Context>::new(id).to_c())
    }

    fn create_context(flags: u32, device: i32) -> Result<*mut c_void, Status> {
        let mut context = std::ptr::null_mut();
        // SAFETY: `context` is live.
        unsafe { api::cuCtxCreate_v2(&raw mut context, flags, device)? };
        Ok(context)
    }

    unsafe fn load_module(image: *const c_void) -> Result<*mut c_void, Status> {
        let mut module = std::ptr::null_mut();
        // SAFETY: `module` is live, and the caller vouches for the image.
        unsafe { api::cuModuleLoadData(&raw mut module, image)? };
        Ok(module)
    }

    fn device_attribute(attribute: u32, device: i32) -> Result<i32, Status> {
        client::get()?.device(device)?.attribute(attribute)
    }

    fn unknown(what: Unknown) {
        crate::log::debug(format_args!("{what}"));
    }
}
