//! What the parameters of a call say about each other.

use crate::handle::HandleKind;

/// A handle that the call creates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Created {
    /// Its kind.
    pub kind: HandleKind,
    /// Its id.
    pub id: u32,
}

/// What the parameters of one call say about each other.
#[derive(Debug, Default)]
pub struct Notes {
    /// The library's handle of the call.
    pub handle: Option<(HandleKind, u32)>,
    /// The handle that the call creates.
    pub created: Option<Created>,
    /// Scalars and results are in device memory.
    pub device_scalars: bool,
    /// Bytes of a scalar, as a `cudaDataType` for scalars says.
    pub scalar: Option<usize>,
    /// Two such types differ in size.
    pub unequal: bool,
    /// Bytes of a real scalar, as the compute type says.
    pub compute: Option<usize>,
    /// A matrix or vector is complex.
    pub complex: bool,
    /// A tensor has doubles.
    pub double: bool,
    /// Items of the arrays.
    pub count: usize,
}

impl Notes {
    /// A `cudaDataType` of scalars; all of a call have to be as large.
    pub(super) fn note_scalar(&mut self, size: Option<usize>) {
        self.unequal |= self.scalar.is_some_and(|known| Some(known) != size);
        self.scalar = size;
    }

    /// Bytes of a scalar whose type the call names; `None` where it names none that exists.
    ///
    /// `cublasGemmEx` (cuBLAS, "cublasGemmEx"): the scale type follows from the compute type, and is complex
    /// where the matrices are.
    pub fn scalar_size(&self) -> Option<usize> {
        let named = || Some(self.compute? << usize::from(self.complex));
        self.scalar.or_else(named).filter(|_| !self.unequal)
    }
}

/// Bytes of a value of a `cudaDataType`, and whether it is complex (library_types.h).
pub const fn data_type_size(data_type: u32) -> Option<(usize, bool)> {
    Some(match data_type {
        0 | 10 | 12 => (4, false),
        1 | 24 | 26 => (8, false),
        2 | 14 | 20 | 22 => (2, false),
        3 | 8 | 28 | 29 => (1, false),
        4 | 11 | 13 => (8, true),
        5 | 25 | 27 => (16, true),
        6 | 15 | 21 | 23 => (4, true),
        7 | 9 => (2, true),
        _ => return None,
    })
}

/// Bytes of a floating-point number of a `cudnnDataType_t` (cudnn_graph.h).
pub(super) const fn dnn_type_size(data_type: u32) -> Option<usize> {
    Some(match data_type {
        0 => 4,
        1 => 8,
        2 | 9 => 2,
        _ => return None,
    })
}

/// Bytes of a real scalar of a `cublasComputeType_t` (cublas_api.h).
pub(super) const fn compute_type_size(compute_type: u32) -> Option<usize> {
    Some(match compute_type {
        64 | 65 => 2,
        68 | 69 | 72..=75 | 77 | 78 => 4,
        70 | 71 => 8,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scalar_is_as_large_as_the_types_say() {
        let notes = |compute, complex| Notes {
            compute: compute_type_size(compute),
            complex,
            ..Notes::default()
        };
        assert_eq!(notes(68, false).scalar_size(), Some(4));
        assert_eq!(notes(68, true).scalar_size(), Some(8));
        assert_eq!(notes(70, true).scalar_size(), Some(16));
        assert_eq!(notes(64, false).scalar_size(), Some(2));
        assert_eq!(notes(1, false).scalar_size(), None);
    }

    #[test]
    fn scalars_of_a_call_are_as_large() {
        let mut notes = Notes::default();
        notes.note_scalar(Some(8));
        notes.note_scalar(Some(8));
        assert_eq!(notes.scalar_size(), Some(8));
        notes.note_scalar(Some(4));
        assert_eq!(notes.scalar_size(), None);
        notes.note_scalar(Some(4));
        assert_eq!(notes.scalar_size(), None);
    }
}
