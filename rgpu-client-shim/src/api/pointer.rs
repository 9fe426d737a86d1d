//! What an address is.

use rgpu_proto::handle::{Context, Pool};

use super::memory::range_of;
use super::*;
use crate::client::get as client;
use crate::copy::Lookup;
use crate::shadow::memory::Memory;

/// `CU_MEMORYTYPE_HOST`.
const HOST: u32 = 1;
/// `CU_MEMORYTYPE_DEVICE`.
const DEVICE: u32 = 2;

/// What is known of the memory behind an address.
#[derive(Debug, Clone, Copy)]
struct Known {
    device: bool,
    context: u32,
    start: u64,
    size: u64,
    pool: u32,
    serial: u64,
    mapping: Option<(u64, u64)>,
}

/// The value of an attribute; each is stored in its C type. Flags are words: NVIDIA's runtime reads them so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value {
    Word(u32),
    Long(u64),
    Tokens,
}

fn known(memory: &Memory, address: u64) -> Option<Known> {
    if let Some((start, range)) = memory.host.containing(address as usize) {
        return Some(Known {
            device: false,
            context: range.context,
            start: start as u64,
            size: range.size as u64,
            pool: 0,
            serial: range.serial << 1,
            mapping: None,
        });
    }
    if let Some(allocation) = memory.allocator.containing(address) {
        return Some(Known {
            device: true,
            context: allocation.context,
            start: allocation.address,
            size: allocation.size,
            pool: allocation.pool,
            serial: allocation.serial << 1 | 1,
            mapping: None,
        });
    }
    let (start, end) = range_of(memory, address)?;
    let context = memory
        .global_at(address)
        .map_or(0, |(_, global)| global.context);
    let mapping = memory
        .vmm
        .mapping_of(address)
        .map(|(at, mapped)| (at, mapped.size));
    // A mapped address belongs to the whole reservation.
    let (start, size) = memory
        .vmm
        .reservation_of(address)
        .unwrap_or((start, end - start));
    Some(Known {
        device: true,
        context,
        start,
        size,
        pool: 0,
        serial: start | 1,
        mapping,
    })
}

impl Known {
    fn value(&self, attribute: u32, address: u64, ordinal: u32) -> Result<Value> {
        let handle = |id| Id::<Context>::new(id).to_c() as usize as u64;
        Ok(match attribute {
            // CONTEXT, MEMORY_TYPE
            1 => Value::Long(handle(self.context)),
            2 => Value::Word(if self.device { DEVICE } else { HOST }),
            // DEVICE_POINTER, HOST_POINTER: under unified addressing both are the address itself.
            3 => Value::Long(address),
            4 if self.device => return Err(INVALID),
            4 => Value::Long(address),
            5 => Value::Tokens,
            // SYNC_MEMOPS, BUFFER_ID, IS_MANAGED, DEVICE_ORDINAL, IS_LEGACY_CUDA_IPC_CAPABLE
            6 => Value::Word(0),
            7 => Value::Long(self.serial),
            8 => Value::Word(0),
            9 => Value::Word(ordinal),
            10 => Value::Word(0),
            // RANGE_START_ADDR, RANGE_SIZE, MAPPED
            11 => Value::Long(self.start),
            12 => Value::Long(self.size),
            13 => Value::Word(1),
            // ALLOWED_HANDLE_TYPES, IS_GPU_DIRECT_RDMA_CAPABLE, ACCESS_FLAGS
            14 => Value::Word(0),
            15 => Value::Word(0),
            16 => Value::Word(3),
            // MEMPOOL_HANDLE, MAPPING_SIZE, MAPPING_BASE_ADDR, MEMORY_BLOCK_ID
            17 if self.pool != 0 => Value::Long(Id::<Pool>::new(self.pool).to_c() as usize as u64),
            17 => Value::Long(0),
            18 => Value::Long(self.mapping.map_or(self.size, |mapping| mapping.1)),
            19 => Value::Long(self.mapping.map_or(self.start, |mapping| mapping.0)),
            20 => Value::Long(self.serial),
            // IS_HW_DECOMPRESS_CAPABLE
            21 => Value::Word(0),
            _ => return Err(INVALID),
        })
    }
}

/// What is said of memory that CUDA does not know: null, except where a number is out of the question.
fn unknown_value(attribute: u32) -> Result<Value> {
    Ok(match attribute {
        1 | 3 | 4 | 7 | 11 | 12 | 17..=20 => Value::Long(0),
        5 => Value::Tokens,
        2 | 6 | 8 | 10 | 13..=16 | 21 => Value::Word(0),
        // `CU_DEVICE_INVALID`.
        9 => Value::Word(-2_i32 as u32),
        _ => return Err(INVALID),
    })
}

/// # Safety
/// `data` has room for the attribute's C type.
unsafe fn store(data: *mut c_void, value: Value) -> Result {
    // SAFETY: the caller's promise.
    unsafe {
        match value {
            Value::Word(word) => put(data.cast(), word),
            Value::Long(long) => put(data.cast(), long),
            // `CUDA_POINTER_ATTRIBUTE_P2P_TOKENS`: none.
            Value::Tokens => put(data.cast(), [0_u64; 2]),
        }
    }
}

fn lookup(client: &'static Client, address: u64) -> Option<(Known, u32)> {
    let known = known(&client.memory.hold(), address)?;
    let ordinal = client
        .contexts
        .hold()
        .get(known.context)
        .map_or(0, |context| context.device);
    Some((known, ordinal))
}

pub(crate) unsafe fn cuPointerGetAttribute(data: *mut c_void, attribute: u32, ptr: u64) -> Result {
    let client = client()?;
    if data.is_null() {
        return Err(INVALID);
    }
    let (known, ordinal) = lookup(client, ptr).ok_or(INVALID)?;
    // SAFETY: the application's buffer, as large as the attribute needs.
    unsafe { store(data, known.value(attribute, ptr, ordinal)?) }
}

pub(crate) unsafe fn cuPointerGetAttributes(
    num_attributes: u32,
    attributes: *mut u32,
    data: *mut c_void,
    ptr: u64,
) -> Result {
    let client = client()?;
    if num_attributes == 0 || attributes.is_null() || data.is_null() {
        return Err(INVALID);
    }
    let found = lookup(client, ptr);
    for at in 0..num_attributes as usize {
        // SAFETY: both arrays have `num_attributes` items.
        let (attribute, place) = unsafe {
            (
                attributes.add(at).read_unaligned(),
                data.cast::<*mut c_void>().add(at).read_unaligned(),
            )
        };
        let value = match &found {
            Some((known, ordinal)) => known
                .value(attribute, ptr, *ordinal)
                .or_else(|_| unknown_value(attribute))?,
            None => unknown_value(attribute)?,
        };
        // SAFETY: each place has room for its attribute.
        unsafe { store(place, value)? };
    }
    Ok(())
}

pub(crate) unsafe fn cuPointerSetAttribute(
    value: *const c_void,
    attribute: u32,
    ptr: u64,
) -> Result {
    /// `CU_POINTER_ATTRIBUTE_SYNC_MEMOPS`, the only one that can be set.
    const SYNC_MEMOPS: u32 = 6;
    let client = client()?;
    client.context()?;
    let known = client.memory.hold().device_range(ptr).is_some();
    if value.is_null() || attribute != SYNC_MEMOPS || !known {
        return Err(INVALID);
    }
    // Copies that this flag would make synchronous read their source before they return anyway.
    Ok(())
}
