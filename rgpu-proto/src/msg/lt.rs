//! Bodies of the `custom` rows of cuBLASLt. Answers begin with the library's status, as those of derived rows do.

use crate::handle::{Blas, BlasLt, HandleKind, Id, Named, Stream};
use crate::library::Value;
use crate::library::lt::Attributes;
use crate::message;
use crate::wire::{Decode, DecodeError, Encode, Reader};

/// The `cublasLtHandle_t` of a call. A `cublasHandle_t` is one too (cuBLAS, "cublasLtHandle_t").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LtHandle {
    /// Of `cublasLtCreate`.
    Own(Id<BlasLt>),
    /// Of `cublasCreate`.
    Blas(Id<Blas>),
}

impl LtHandle {
    /// Its kind and id.
    pub const fn named(self) -> (HandleKind, u32) {
        match self {
            Self::Own(id) => (BlasLt::KIND, id.0),
            Self::Blas(id) => (Blas::KIND, id.0),
        }
    }
}

impl Encode for LtHandle {
    fn encode(&self, out: &mut Vec<u8>) {
        let (kind, id) = self.named();
        (kind as u8).encode(out);
        id.encode(out);
    }
}

impl Decode for LtHandle {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        const OWN: u8 = HandleKind::BlasLt as u8;
        const BLAS: u8 = HandleKind::Blas as u8;
        match u8::decode(input)? {
            OWN => Ok(Self::Own(Id::decode(input)?)),
            BLAS => Ok(Self::Blas(Id::decode(input)?)),
            value => Err(DecodeError::Invalid {
                what: "kind of a handle of cuBLASLt",
                value: value.into(),
            }),
        }
    }
}

/// A `cublasLtMatmulAlgo_t`.
pub type Algo = [u64; 8];
/// A `cublasLtMatmulHeuristicResult_t`: an algorithm, bytes of workspace, status and waves, four reserved ints.
pub type HeuristicResult = [u64; 12];

message! {
    /// A product: what is computed, and how the matrices lie.
    pub struct LtProblem {
        /// The library's handle.
        handle: LtHandle,
        /// Of the `cublasLtMatmulDesc_t`.
        desc: Attributes,
        /// Of the layout of A.
        a: Attributes,
        /// Of the layout of B.
        b: Attributes,
        /// Of the layout of C.
        c: Attributes,
        /// Of the layout of D.
        d: Attributes,
    }

    /// `cublasLtMatmul`. Posted.
    pub struct LtMatmul {
        /// What is computed.
        problem: LtProblem,
        /// Scalar, as large as the scale type says, or where the pointer mode says.
        alpha: Value,
        /// Scalar; absent where the pointer mode makes it zero.
        beta: Option<Value>,
        /// Addresses of A, B, C and D.
        matrices: [u64; 4],
        /// The algorithm, if the application chose one.
        algo: Option<Algo>,
        /// Address of the workspace.
        workspace: u64,
        /// Bytes of it.
        workspace_size: u64,
        /// Where.
        stream: Id<Stream>,
    }

    /// `cublasLtMatmulAlgoGetHeuristic`. Answered with a list of [`HeuristicResult`]s.
    pub struct LtHeuristic {
        /// What is to be computed.
        problem: LtProblem,
        /// Of the `cublasLtMatmulPreference_t`.
        preference: Attributes,
        /// At most how many.
        requested: i32,
    }

    /// `cublasLtMatmulAlgoCheck`. Answered with a [`HeuristicResult`].
    pub struct LtCheck {
        /// What is to be computed.
        problem: LtProblem,
        /// How.
        algo: Algo,
    }

    /// `cublasLtMatmulAlgoInit`, answered with an [`Algo`], and `cublasLtMatmulAlgoGetIds`, with a list of `i32`.
    pub struct LtTypes {
        /// The library's handle.
        handle: LtHandle,
        /// A `cublasComputeType_t` and `cudaDataType`s: scale, A, B, C, D.
        types: [u32; 6],
        /// The algorithm, or at most how many ids.
        number: i32,
    }

    /// `cublasLtMatmulAlgoCapGetAttribute` and `…ConfigGetAttribute`. Answered with [`LtAlgoGot`].
    pub struct LtAlgoGet {
        /// The algorithm.
        algo: Algo,
        /// The attribute.
        number: u32,
        /// Bytes of the application's buffer; 0 where it asks how many there are.
        size: u64,
    }

    /// An attribute of an algorithm.
    pub struct LtAlgoGot {
        /// Bytes that there are.
        written: u64,
        /// Those that were asked for.
        value: Vec<u8>,
    }

    /// `cublasLtMatmulAlgoConfigSetAttribute`. Answered with an [`Algo`].
    pub struct LtAlgoSet {
        /// The algorithm.
        algo: Algo,
        /// The attribute.
        number: u32,
        /// What to set it to.
        value: Vec<u8>,
    }

    /// `cublasLtMatrixTransform`. Posted.
    pub struct LtTransform {
        /// The library's handle.
        handle: LtHandle,
        /// Of the `cublasLtMatrixTransformDesc_t`.
        desc: Attributes,
        /// Of the layout of A, if there is one.
        a: Option<Attributes>,
        /// Of the layout of B, if there is one.
        b: Option<Attributes>,
        /// Of the layout of C.
        c: Attributes,
        /// Scalar.
        alpha: Value,
        /// Scalar; absent where the pointer mode makes it zero.
        beta: Option<Value>,
        /// Addresses of A, B and C.
        matrices: [u64; 3],
        /// Where.
        stream: Id<Stream>,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire;

    #[test]
    fn a_product_crosses_the_wire() {
        let mut scalar = 1.5f32;
        // SAFETY: four bytes of a float.
        let alpha = unsafe { Value::read((&raw mut scalar).cast(), Some(4), false) }.unwrap();
        let body = LtMatmul {
            problem: LtProblem {
                handle: LtHandle::Blas(Id::new(40)),
                desc: vec![(0, 68), (8, 0x7000_0000_1000)],
                a: vec![(2, 16), (3, 8), (4, 16)],
                b: vec![],
                c: vec![(5, 3)],
                d: vec![(6, u64::MAX)],
            },
            alpha,
            beta: None,
            matrices: [1, 2, 3, 4],
            algo: Some([9; 8]),
            workspace: 5,
            workspace_size: 6,
            stream: Id::new(2),
        };
        let bytes = wire::to_bytes(&body);
        assert_eq!(wire::from_bytes::<LtMatmul>(&bytes), Ok(body));
        for end in 0..bytes.len() {
            assert!(wire::from_bytes::<LtMatmul>(&bytes[..end]).is_err());
        }
    }

    #[test]
    fn a_handle_of_another_kind_is_refused() {
        let bytes = [HandleKind::Dnn as u8, 40, 0, 0, 0];
        assert!(wire::from_bytes::<LtHandle>(&bytes).is_err());
    }
}
