//! The undocumented tables of `cuGetExportTable`.
//!
//! A table is an array of pointers, found by a UUID; most start with their own size in bytes. cudart 13.0.2
//! asks for seven at start and will not work without six of them (`docs/cudart-13.md` says how that was
//! found):
//!
//! | table | slots | what cudart 13.0.2 reads |
//! |---|---|---|
//! | [`CUDART_INTERFACE`] | 13 | 2: handle of a device's primary context |
//! | [`TOOLS_RUNTIME_CALLBACK_HOOKS`] | 7 | 0, 2 and 6: two arrays of flags, read before every runtime call |
//! | [`TOOLS_TLS`] | 4 | nothing, but it must be there |
//! | [`CONTEXT_LOCAL_STORAGE`] | 4, no size | 0, 1, 2: put, delete, get |
//! | [`CONTEXT_CHECKS`] | 4 | 2 and 3 |
//! | [`INTEGRITY_CHECK`] | 3 | 1 |
//! | [`UNUSED_DEBUG`] | | nothing; may be absent, and is absent here |
//!
//! Others are known from older runtimes and from libraries: [`CTX_CREATE_BYPASS`], [`HEAP_ACCESS`],
//! [`DEVICE_EXTENDED_RT`]. Ids, sizes and signatures were first documented by the sources of ZLUDA (`dark_api`,
//! `cuda_types/src/dark_api.rs`). A slot whose meaning is not known holds a function that reports itself
//! through [`Backend::unknown`] and returns `CUDA_ERROR_NOT_SUPPORTED`, so that a call to it can be found and does
//! not crash.

mod slots;
#[cfg(test)]
mod tests;

use std::any::TypeId;
use std::collections::BTreeSet;
use std::ffi::c_void;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use crate::Status;
use crate::integrity::DeviceIdentity;

/// A table's UUID, as in `CUuuid`.
pub type TableId = [u8; 16];

/// What cudart needs of the driver that is not in its public interface.
pub const CUDART_INTERFACE: TableId = id(0x6bd5fb6c_5bf4_e74a_8987_d93912fd9df9);
/// Per-thread state of tools.
pub const TOOLS_TLS: TableId = id(0x42d85a81_23f6_cb47_8298_f6e78a3aecdc);
/// Which runtime calls a tool (CUPTI) wants to hear of.
pub const TOOLS_RUNTIME_CALLBACK_HOOKS: TableId = id(0xa094798c_2e74_2e74_93f2_0800200c0a66);
/// Values attached to contexts.
pub const CONTEXT_LOCAL_STORAGE: TableId = id(0xc693336e_1121_df11_a8c3_68f355d89593);
/// Creating contexts past the checks of the public function.
pub const CTX_CREATE_BYPASS: TableId = id(0x0ca50b8c_1004_929a_89a7_d0df10e77286);
/// Host allocations of older runtimes.
pub const HEAP_ACCESS: TableId = id(0x195bcbf4_d67d_024a_acc5_1d29cea631ae);
/// More device attributes.
pub const DEVICE_EXTENDED_RT: TableId = id(0xb10541e1_f7c7_c74a_9f64_f223be99f1e2);
/// cudart's start-up question, see [`crate::integrity`].
pub const INTEGRITY_CHECK: TableId = id(0xd4082055_bde6_704b_8d34_ba123c66e1f2);
/// Properties of contexts that no one has seen set.
pub const CONTEXT_CHECKS: TableId = id(0x263e8860_7cd2_6143_92f6_bbd5006dfa7e);
/// Asked for first by cudart 13, which goes on without it.
pub const UNUSED_DEBUG: TableId = id(0xf8cff951_2146_8b4e_b9e2_fb469e7c0dd9);

const fn id(uuid: u128) -> TableId {
    uuid.to_be_bytes()
}

/// What the tables need from the driver. All are associated functions, because C calls them without a `self`;
/// all may be called from any thread, and must not unwind for any reason but a bug.
pub trait Backend: 'static {
    /// What `cuDriverGetVersion` answers.
    fn driver_version() -> i32;

    /// The devices in order of their ordinals, with exactly what `cuDeviceGetUuid` and the PCI attributes give.
    fn devices() -> Result<Vec<DeviceIdentity>, Status>;

    /// The calling thread's current context; null if it has none.
    fn current_context() -> Result<*mut c_void, Status>;

    /// Whether `context` is a live context of this driver, or the primary context of a device, active or not.
    fn is_context(context: *mut c_void) -> bool;

    /// The handle of a device's primary context, the one that `cuDevicePrimaryCtxRetain` will give, without
    /// retaining or activating it. cudart makes this handle current *before* it retains it.
    fn primary_context(device: i32) -> Result<*mut c_void, Status>;

    /// As `cuCtxCreate_v2`.
    fn create_context(flags: u32, device: i32) -> Result<*mut c_void, Status>;

    /// As `cuModuleLoadData`.
    ///
    /// # Safety
    ///
    /// `image` is null or a module image, as for that function.
    unsafe fn load_module(image: *const c_void) -> Result<*mut c_void, Status>;

    /// As `cuDeviceGetAttribute`.
    fn device_attribute(attribute: u32, device: i32) -> Result<i32, Status>;

    /// Something was asked for that this crate does not know; called once for each, to be logged.
    fn unknown(what: Unknown);
}

/// What [`Backend::unknown`] reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unknown {
    /// A table that is not here.
    Table(TableId),
    /// A call of a slot whose meaning is not known.
    Slot(TableId, usize),
    /// A call of a known slot with arguments whose meaning is not known.
    Arguments(TableId, usize),
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Table(table) => write!(f, "unknown export table {}", uuid(table)),
            Self::Slot(table, slot) => {
                write!(
                    f,
                    "call of unknown slot {slot} of export table {}",
                    uuid(table)
                )
            }
            Self::Arguments(table, slot) => write!(
                f,
                "unknown arguments to slot {slot} of export table {}",
                uuid(table)
            ),
        }
    }
}

fn uuid(table: &TableId) -> String {
    let hex = format!("{:032x}", u128::from_be_bytes(*table));
    let (a, b, c, d, e) = (
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    );
    format!("{a}-{b}-{c}-{d}-{e}")
}

/// The table `id`, for `cuGetExportTable`; `None` is `CUDA_ERROR_INVALID_VALUE`. The same pointer every time.
pub fn export_table<B: Backend>(id: &TableId) -> Option<*const c_void> {
    let found = tables::<B>().find(id);
    if found.is_none() && *id != UNUSED_DEBUG {
        report::<B>(Unknown::Table(*id));
    }
    found
}

/// The body of `cuGetExportTable`.
///
/// # Safety
///
/// `table` must be null or writable, `id` null or point to a `CUuuid`.
pub unsafe fn get_export_table<B: Backend>(
    table: *mut *const c_void,
    id: *const c_void,
) -> Result<(), Status> {
    if table.is_null() || id.is_null() {
        return Err(Status::ERROR_INVALID_VALUE);
    }
    // SAFETY: not null, so it points to the 16 bytes of a UUID.
    let id = unsafe { id.cast::<TableId>().read() };
    let found = export_table::<B>(&id);
    // SAFETY: not null, so it is writable.
    unsafe { table.write(found.unwrap_or(std::ptr::null())) };
    found.map(|_| ()).ok_or(Status::ERROR_INVALID_VALUE)
}

/// The tables of one backend, which live as long as the process.
struct Tables {
    tables: Vec<(TableId, &'static [Slot])>,
}

/// A size or the address of a function.
#[derive(Clone, Copy)]
struct Slot(*const c_void);

// SAFETY: sizes and addresses of functions, which mean the same on every thread; nothing is read through them.
unsafe impl Send for Slot {}
// SAFETY: as above.
unsafe impl Sync for Slot {}

impl Tables {
    fn find(&self, id: &TableId) -> Option<*const c_void> {
        let (_, slots) = self.tables.iter().find(|(table, _)| table == id)?;
        Some(slots.as_ptr().cast())
    }
}

/// Built once per backend and then kept: the integrity check hashes the addresses that cudart was given.
fn tables<B: Backend>() -> &'static Tables {
    static BUILT: Mutex<Vec<(TypeId, &'static Tables)>> = Mutex::new(Vec::new());
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let backend = TypeId::of::<B>();
    if let Some((_, tables)) = built.iter().find(|(built_for, _)| *built_for == backend) {
        return tables;
    }
    let tables: &'static Tables = Box::leak(Box::new(slots::build::<B>()));
    built.push((backend, tables));
    tables
}

/// Tells the backend, once for each `what` in the life of the process.
fn report<B: Backend>(what: Unknown) {
    static SEEN: Mutex<BTreeSet<(TypeId, Unknown)>> = Mutex::new(BTreeSet::new());
    let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    let new = seen.insert((TypeId::of::<B>(), what));
    drop(seen);
    if new {
        B::unknown(what);
    }
}
