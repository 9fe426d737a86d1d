//! A backend descriptor: attributes, as they were set.

use std::collections::HashMap;
use std::sync::Arc;

use super::build::Graph;
use crate::status::{Result, Status, require};

/// The value of an attribute.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    /// Numbers of a `cudnnBackendAttributeType_t`, as C lays them out.
    Plain { kind: u32, bytes: Vec<u8> },
    /// Other descriptors, as they were when they were set.
    Parts(Vec<Arc<Descriptor>>),
}

/// What a `cudnnBackendDescriptor_t` stands for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Descriptor {
    /// A `cudnnBackendDescriptorType_t`.
    pub(crate) kind: u32,
    pub(crate) finalized: bool,
    pub(crate) values: HashMap<u32, Value>,
    /// The graph's operations, in a graph and in what is made from it.
    pub(crate) graph: Option<Arc<Graph>>,
}

/// Bytes of an element of a `cudnnBackendAttributeType_t`.
pub(crate) fn size(kind: u32) -> Result<usize> {
    match kind {
        // Handles, pointers, descriptors, integers of 64 bits, doubles.
        0 | 3 | 5 | 6 | 15 => Ok(8),
        // Booleans (C++'s bool) and characters.
        2 | 24 => Ok(1),
        // A fraction of two integers.
        26 => Ok(16),
        1 | 4 | 7..=14 | 16..=23 | 25 | 27..=29 => Ok(4),
        _ => Err(Status::BAD_PARAM_ATTRIBUTE_TYPE),
    }
}

impl Descriptor {
    pub(crate) fn new(kind: u32) -> Self {
        Self {
            kind,
            ..Self::default()
        }
    }

    fn bytes(&self, name: u32) -> Option<(u32, &[u8])> {
        match self.values.get(&name) {
            Some(Value::Plain { kind, bytes }) => Some((*kind, bytes)),
            _ => None,
        }
    }

    /// Integers of 64 bits; none if the attribute was not set.
    pub(crate) fn integers(&self, name: u32) -> Vec<i64> {
        let bytes = self.bytes(name).map_or(&[][..], |(_, bytes)| bytes);
        bytes
            .chunks_exact(8)
            .map(|chunk| i64::from_ne_bytes(chunk.try_into().unwrap_or_default()))
            .collect()
    }

    /// Those that must not be negative.
    pub(crate) fn sizes(&self, name: u32) -> Result<Vec<usize>> {
        let values = self.integers(name).into_iter();
        values
            .map(|value| usize::try_from(value).map_err(|_| Status::BAD_PARAM))
            .collect()
    }

    /// An enum, if it was set.
    pub(crate) fn number(&self, name: u32) -> Option<u32> {
        let (_, bytes) = self.bytes(name)?;
        Some(u32::from_ne_bytes(bytes.get(..4)?.try_into().ok()?))
    }

    /// A float or double, if it was set.
    pub(crate) fn real(&self, name: u32) -> Option<f64> {
        match self.bytes(name)? {
            (super::names::TYPE_FLOAT, bytes) => {
                Some(f32::from_ne_bytes(bytes.get(..4)?.try_into().ok()?).into())
            }
            (super::names::TYPE_DOUBLE, bytes) => {
                Some(f64::from_ne_bytes(bytes.get(..8)?.try_into().ok()?))
            }
            _ => None,
        }
    }

    /// A boolean; false if it was not set.
    pub(crate) fn flag(&self, name: u32) -> bool {
        self.bytes(name)
            .is_some_and(|(_, bytes)| bytes.first().is_some_and(|&byte| byte != 0))
    }

    /// Other descriptors; none if they were not set.
    pub(crate) fn parts(&self, name: u32) -> &[Arc<Self>] {
        match self.values.get(&name) {
            Some(Value::Parts(parts)) => parts,
            _ => &[],
        }
    }

    /// One other descriptor, of that kind.
    pub(crate) fn part(&self, name: u32, kind: u32) -> Result<&Arc<Self>> {
        let part = self.optional(name, kind)?;
        part.ok_or(Status::BAD_PARAM)
    }

    /// The same, which need not be set.
    pub(crate) fn optional(&self, name: u32, kind: u32) -> Result<Option<&Arc<Self>>> {
        let part = self.parts(name).first();
        require(part.is_none_or(|part| part.kind == kind))?;
        Ok(part)
    }

    pub(crate) fn set_integers(&mut self, name: u32, values: &[i64]) {
        let bytes = values
            .iter()
            .flat_map(|value| value.to_ne_bytes())
            .collect();
        self.values.insert(
            name,
            Value::Plain {
                kind: super::names::TYPE_INT64,
                bytes,
            },
        );
    }
}
