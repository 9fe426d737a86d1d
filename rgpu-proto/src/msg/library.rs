//! Bodies of the `custom` rows of libraries. Answers begin with the library's status, as those of derived rows do.

use crate::handle::{DnnBackend, Id};
use crate::message;
use crate::wire::{Decode, DecodeError, Encode, Reader};

/// Values of an attribute of a backend descriptor.
#[derive(Debug, Clone, PartialEq)]
pub enum Elements {
    /// Handles of the library.
    Handles(Vec<u32>),
    /// Backend descriptors; 0 where the application passed none.
    Descriptors(Vec<u32>),
    /// Addresses in device memory.
    Pointers(Vec<u64>),
    /// Plain data, as it lies in memory.
    Plain(Vec<u8>),
}

impl Encode for Elements {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Handles(ids) => {
                0u8.encode(out);
                ids.encode(out);
            }
            Self::Descriptors(ids) => {
                1u8.encode(out);
                ids.encode(out);
            }
            Self::Pointers(addresses) => {
                2u8.encode(out);
                addresses.encode(out);
            }
            Self::Plain(bytes) => {
                3u8.encode(out);
                bytes.encode(out);
            }
        }
    }
}

impl Decode for Elements {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match u8::decode(input)? {
            0 => Self::Handles(Decode::decode(input)?),
            1 => Self::Descriptors(Decode::decode(input)?),
            2 => Self::Pointers(Decode::decode(input)?),
            3 => Self::Plain(Decode::decode(input)?),
            value => {
                return Err(DecodeError::Invalid {
                    what: "kind of attribute values",
                    value: value.into(),
                });
            }
        })
    }
}

/// What the values of a `cudnnBackendAttributeType_t` are: how many bytes each has in memory.
pub const fn attribute_size(attribute_type: u32) -> Option<usize> {
    // cudnn_graph.h. Handles, pointers and descriptors are as large as pointers; the enums are ints.
    Some(match attribute_type {
        0 | 3 | 5 | 6 | 15 => 8,
        2 | 24 => 1,
        26 => 16,
        1 | 4 | 7..=14 | 16..=23 | 25 | 27..=31 => 4,
        _ => return None,
    })
}

/// `CUDNN_TYPE_HANDLE`.
pub const TYPE_HANDLE: u32 = 0;
/// `CUDNN_TYPE_VOID_PTR`.
pub const TYPE_POINTER: u32 = 6;
/// `CUDNN_TYPE_BACKEND_DESCRIPTOR`.
pub const TYPE_DESCRIPTOR: u32 = 15;

message! {
    /// `cudnnBackendSetAttribute`. Posted.
    pub struct BackendSet {
        /// Of which descriptor.
        descriptor: Id<DnnBackend>,
        /// A `cudnnBackendAttributeName_t`.
        name: u32,
        /// A `cudnnBackendAttributeType_t`.
        kind: u32,
        /// How many values.
        count: i64,
        /// The values.
        elements: Elements,
    }

    /// `cudnnBackendGetAttribute`. Answered with [`BackendGot`].
    pub struct BackendGet {
        /// Of which descriptor.
        descriptor: Id<DnnBackend>,
        /// A `cudnnBackendAttributeName_t`.
        name: u32,
        /// A `cudnnBackendAttributeType_t`.
        kind: u32,
        /// Room for how many values; 0 where the application only counts them.
        requested: i64,
        /// Descriptors of the application that are to be filled; empty for other types.
        descriptors: Vec<u32>,
        /// The application has room for values at all.
        wanted: bool,
    }

    /// What an attribute holds.
    pub struct BackendGot {
        /// Values that there are.
        count: i64,
        /// Those that were asked for; empty for descriptors, which are filled instead.
        elements: Elements,
    }
}
