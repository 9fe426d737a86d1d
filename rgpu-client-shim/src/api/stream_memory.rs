//! Words of memory that a stream writes, or waits for. The waiting is the server's device's.

use rgpu_driver_abi::stream::BatchMemOp;
use rgpu_proto::msg::stream::{MemoryOp, StreamMemory};
use rgpu_proto::opcode::Opcode;

use super::*;
use crate::client::get as client;
use crate::copy::Lookup;

/// `CUstreamBatchMemOpType`.
const WAIT_32: u32 = 1;
const WRITE_32: u32 = 2;
const FLUSH: u32 = 3;
const WAIT_64: u32 = 4;
const WRITE_64: u32 = 5;
const BARRIER: u32 = 6;
/// `CU_STREAM_WAIT_VALUE_NOR`, the last of the conditions.
const NOR: u32 = 3;
/// `CU_STREAM_WAIT_VALUE_FLUSH`.
const WAIT_FLUSH: u32 = 1 << 30;
/// `CU_STREAM_WRITE_VALUE_NO_MEMORY_BARRIER`, which the second version of the functions does not take.
const NO_BARRIER: u32 = 1;
/// `CU_DEVICE_ATTRIBUTE_CAN_FLUSH_REMOTE_WRITES`, …`CAN_USE_64_BIT_STREAM_MEM_OPS`, …`CAN_USE_STREAM_WAIT_VALUE_NOR`.
const CAN_FLUSH: u32 = 98;
const CAN_USE_64_BIT: u32 = 122;
const CAN_USE_NOR: u32 = 123;

/// Refuses what the device would refuse, with its code.
fn check(op: &MemoryOp, can: &dyn Fn(u32) -> bool, memory: &dyn Lookup) -> Result {
    let supported = |yes: bool| {
        if yes {
            Ok(())
        } else {
            Err(Status::ERROR_NOT_SUPPORTED)
        }
    };
    let size = match op.operation {
        WAIT_32 | WRITE_32 => 4,
        WAIT_64 | WRITE_64 => 8,
        FLUSH => return supported(can(CAN_FLUSH)),
        BARRIER if op.flags <= 1 => return Ok(()),
        _ => return Err(INVALID),
    };
    supported(size == 4 || can(CAN_USE_64_BIT))?;
    if matches!(op.operation, WAIT_32 | WAIT_64) {
        let condition = op.flags & !WAIT_FLUSH;
        if condition > NOR {
            return Err(INVALID);
        }
        supported(condition != NOR || can(CAN_USE_NOR))?;
        supported(op.flags == condition || can(CAN_FLUSH))?;
    } else {
        supported(op.flags != NO_BARRIER)?;
        if op.flags != 0 {
            return Err(INVALID);
        }
    }
    let inside = memory
        .device_range(op.address)
        .is_some_and(|(_, end)| end - op.address >= size);
    if inside && op.address.is_multiple_of(size) {
        Ok(())
    } else {
        Err(INVALID)
    }
}

fn post(h_stream: *mut c_void, ops: Vec<MemoryOp>) -> Result {
    let client = client()?;
    client.working_context()?;
    let id = stream(client, h_stream)?;
    let device = client.device(0)?;
    {
        let memory = client.memory.hold();
        let can = |attribute| device.attribute_or(attribute, 0) != 0;
        ops.iter().try_for_each(|op| check(op, &can, &*memory))?;
    }
    let body = StreamMemory {
        id: Id::new(id),
        ops,
    };
    client
        .session
        .post(const { Opcode::of("cuStreamBatchMemOp_v2") }, &body)
}

fn post_one(h_stream: *mut c_void, operation: u32, address: u64, value: u64, flags: u32) -> Result {
    let op = MemoryOp {
        operation,
        flags,
        address,
        value,
    };
    post(h_stream, vec![op])
}

pub(crate) unsafe fn cuStreamWaitValue32_v2(
    stream: *mut c_void,
    addr: u64,
    value: u32,
    flags: u32,
) -> Result {
    post_one(stream, WAIT_32, addr, value.into(), flags)
}

pub(crate) unsafe fn cuStreamWaitValue64_v2(
    stream: *mut c_void,
    addr: u64,
    value: u64,
    flags: u32,
) -> Result {
    post_one(stream, WAIT_64, addr, value, flags)
}

pub(crate) unsafe fn cuStreamWriteValue32_v2(
    stream: *mut c_void,
    addr: u64,
    value: u32,
    flags: u32,
) -> Result {
    post_one(stream, WRITE_32, addr, value.into(), flags)
}

pub(crate) unsafe fn cuStreamWriteValue64_v2(
    stream: *mut c_void,
    addr: u64,
    value: u64,
    flags: u32,
) -> Result {
    post_one(stream, WRITE_64, addr, value, flags)
}

fn memory_op(params: &BatchMemOp) -> MemoryOp {
    let alone = matches!(params.operation, FLUSH | BARRIER);
    let is_narrow = matches!(params.operation, WAIT_32 | WRITE_32);
    MemoryOp {
        operation: params.operation,
        flags: if alone {
            params.own_flags
        } else {
            params.flags
        },
        address: if alone { 0 } else { params.address },
        value: match is_narrow {
            _ if alone => 0,
            true => params.value & u64::from(u32::MAX),
            false => params.value,
        },
    }
}

pub(crate) unsafe fn cuStreamBatchMemOp_v2(
    stream: *mut c_void,
    count: u32,
    param_array: *mut c_void,
    flags: u32,
) -> Result {
    // Documented: fewer than 256 operations.
    if flags != 0 || count >= 256 {
        return Err(INVALID);
    }
    let first = param_array.cast::<BatchMemOp>();
    let ops = (0..count as usize).map(|index| {
        // SAFETY: the application's array of `count` unions.
        let params = unsafe { get::<BatchMemOp>(first.wrapping_add(index).cast_const().cast()) }?;
        Ok(memory_op(&params))
    });
    post(stream, ops.collect::<Result<_>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct OneWord;

    impl Lookup for OneWord {
        fn device_range(&self, address: u64) -> Option<(u64, u64)> {
            (0x1000..0x1008)
                .contains(&address)
                .then_some((0x1000, 0x1008))
        }

        fn could_be_device(&self, _: u64) -> bool {
            true
        }
    }

    #[test]
    fn what_the_device_cannot_do_is_refused_here() {
        const UNSUPPORTED: Result = Err(Status::ERROR_NOT_SUPPORTED);
        let asked = |operation, flags, address, attributes: &[u32]| {
            let op = MemoryOp {
                operation,
                flags,
                address,
                value: 1,
            };
            check(&op, &|attribute| attributes.contains(&attribute), &OneWord)
        };
        for operation in [WAIT_32, WRITE_32] {
            assert_eq!(asked(operation, 0, 0x1004, &[]), Ok(()));
            assert_eq!(asked(operation, 0, 0x1002, &[]), Err(INVALID));
            assert_eq!(asked(operation, 0, 0x1008, &[]), Err(INVALID));
        }
        for operation in [WAIT_64, WRITE_64] {
            assert_eq!(asked(operation, 0, 0x1000, &[]), UNSUPPORTED);
            assert_eq!(asked(operation, 0, 0x1000, &[CAN_USE_64_BIT]), Ok(()));
            assert_eq!(asked(operation, 0, 0x1004, &[CAN_USE_64_BIT]), Err(INVALID));
        }
        assert_eq!(asked(WAIT_32, NOR, 0x1000, &[]), UNSUPPORTED);
        assert_eq!(asked(WAIT_32, NOR, 0x1000, &[CAN_USE_NOR]), Ok(()));
        assert_eq!(asked(WAIT_32, WAIT_FLUSH, 0x1000, &[]), UNSUPPORTED);
        assert_eq!(asked(WAIT_32, 4, 0x1000, &[]), Err(INVALID));
        assert_eq!(asked(WRITE_32, NO_BARRIER, 0x1000, &[]), UNSUPPORTED);
        assert_eq!(asked(BARRIER, 1, 0, &[]), Ok(()));
        assert_eq!(asked(BARRIER, 2, 0, &[]), Err(INVALID));
        assert_eq!(asked(FLUSH, 0, 0, &[]), UNSUPPORTED);
        assert_eq!(asked(9, 0, 0x1000, &[]), Err(INVALID));
    }
}
