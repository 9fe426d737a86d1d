//! Bodies of the `custom` rows of libraries. Answers begin with the library's status, as those of derived rows do.

use crate::handle::{BlasLt, DnnBackend, Id, Stream};
use crate::library::Value;
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
            Self::Handles(ids) => (0u8, ids.as_slice()).encode_tagged(out),
            Self::Descriptors(ids) => (1u8, ids.as_slice()).encode_tagged(out),
            Self::Pointers(addresses) => (2u8, addresses.as_slice()).encode_tagged(out),
            Self::Plain(bytes) => (3u8, bytes.as_slice()).encode_tagged(out),
        }
    }
}

/// A tag and a list.
trait Tagged {
    fn encode_tagged(&self, out: &mut Vec<u8>);
}

impl<T: Encode> Tagged for (u8, &[T]) {
    fn encode_tagged(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
        (self.1.len() as u32).encode(out);
        for item in self.1 {
            item.encode(out);
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

    /// An attribute of a descriptor of cuBLASLt, and its value as it lies in memory.
    pub struct LtAttribute {
        /// Its number in the enum of its descriptor's kind.
        number: u32,
        /// Its value.
        value: Vec<u8>,
    }

    /// A `cublasLtMatmulDesc_t`: descriptors of cuBLASLt are the client's own, and travel with the calls.
    pub struct LtMatmulDesc {
        /// A `cublasComputeType_t`.
        compute_type: u32,
        /// A `cudaDataType`.
        scale_type: u32,
        /// The attributes that were set.
        attributes: Vec<LtAttribute>,
    }

    /// A `cublasLtMatrixLayout_t`.
    pub struct LtLayout {
        /// A `cudaDataType`.
        data_type: u32,
        /// Rows.
        rows: u64,
        /// Columns.
        columns: u64,
        /// Leading dimension.
        ld: i64,
        /// The attributes that were set.
        attributes: Vec<LtAttribute>,
    }

    /// The product that heuristics and checks are asked about.
    pub struct LtProblem {
        /// The library's handle.
        handle: Id<BlasLt>,
        /// What is computed.
        desc: LtMatmulDesc,
        /// Layouts of A, B, C and D: four.
        layouts: Vec<LtLayout>,
    }

    /// `cublasLtMatmul`. Posted.
    pub struct LtMatmul {
        /// What is computed.
        problem: LtProblem,
        /// Scalar, as large as the scale type and pointer mode say.
        alpha: Value,
        /// Scalar.
        beta: Value,
        /// Addresses of A, B, C and D.
        matrices: [u64; 4],
        /// A `cublasLtMatmulAlgo_t`, if the application chose one.
        algo: Option<[u64; 8]>,
        /// Address of the workspace.
        workspace: u64,
        /// Bytes of it.
        workspace_size: u64,
        /// Where.
        stream: Id<Stream>,
    }

    /// `cublasLtMatmulAlgoGetHeuristic`. Answered with a list of `cublasLtMatmulHeuristicResult_t`, as it lies in memory.
    pub struct LtHeuristic {
        /// What is to be computed.
        problem: LtProblem,
        /// Attributes of the `cublasLtMatmulPreference_t`.
        preference: Vec<LtAttribute>,
        /// At most how many.
        requested: i32,
    }

    /// `cublasLtMatmulAlgoCheck`. Answered with one `cublasLtMatmulHeuristicResult_t`.
    pub struct LtCheck {
        /// What is to be computed.
        problem: LtProblem,
        /// A `cublasLtMatmulAlgo_t`.
        algo: [u64; 8],
    }

    /// `cublasLtMatmulAlgoInit` and `cublasLtMatmulAlgoGetIds`.
    pub struct LtTypes {
        /// The library's handle.
        handle: Id<BlasLt>,
        /// A `cublasComputeType_t` and `cudaDataType`s: scale, A, B, C, D.
        types: [u32; 6],
        /// The algorithm, or at most how many ids.
        number: i32,
    }

    /// `cublasLtMatmulAlgoCapGetAttribute`, `…ConfigGetAttribute`, `…ConfigSetAttribute`.
    pub struct LtAlgoAttribute {
        /// A `cublasLtMatmulAlgo_t`.
        algo: [u64; 8],
        /// The attribute.
        number: u32,
        /// Bytes of the application's buffer.
        size: u64,
        /// What to set it to.
        value: Vec<u8>,
    }

    /// `cublasLtMatrixTransform`. Posted.
    pub struct LtTransform {
        /// The library's handle.
        handle: Id<BlasLt>,
        /// A `cudaDataType` of the scalars.
        scale_type: u32,
        /// Attributes of the `cublasLtMatrixTransformDesc_t`.
        attributes: Vec<LtAttribute>,
        /// Layouts of A, B and C: three; B's is absent where there is no B.
        layouts: Vec<Option<LtLayout>>,
        /// Scalar.
        alpha: Value,
        /// Scalar.
        beta: Value,
        /// Addresses of A, B and C.
        matrices: [u64; 3],
        /// Where.
        stream: Id<Stream>,
    }
}
