//! Little-endian encoding, and decoding that trusts nothing: every length is checked against what is
//! left and against a limit before anything is allocated.

use crate::handle::{Id, Named};
use crate::limits;

/// Bytes that are not what the protocol says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Fewer bytes than the value needs.
    #[error("message ends {missing} bytes early")]
    Short {
        /// How many more bytes were needed.
        missing: usize,
    },
    /// Bytes left over.
    #[error("{extra} bytes after the end of the message")]
    Long {
        /// How many.
        extra: usize,
    },
    /// A length past its limit.
    #[error("{what} of {len} exceeds the limit of {limit}")]
    TooLong {
        /// What it is the length of.
        what: &'static str,
        /// The length read.
        len: u64,
        /// The limit.
        limit: u64,
    },
    /// A value outside its set.
    #[error("{value} is no {what}")]
    Invalid {
        /// What was expected.
        what: &'static str,
        /// What was read.
        value: u64,
    },
    /// Text that is not UTF-8.
    #[error("text is not UTF-8")]
    NotUtf8,
}

/// Reads values off the front of a message.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    left: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { left: bytes }
    }

    /// The next `len` bytes.
    pub fn bytes(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let missing = len.saturating_sub(self.left.len());
        if missing > 0 {
            return Err(DecodeError::Short { missing });
        }
        let (head, tail) = self.left.split_at(len);
        self.left = tail;
        Ok(head)
    }

    /// All that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.left)
    }

    /// Bytes left.
    pub const fn remaining(&self) -> usize {
        self.left.len()
    }

    /// Fails where bytes are left over.
    pub const fn end(&self) -> Result<(), DecodeError> {
        match self.left.len() {
            0 => Ok(()),
            extra => Err(DecodeError::Long { extra }),
        }
    }

    /// A `u32` count of items that take at least `min_size` bytes each, bounded by what is left.
    fn count(&mut self, what: &'static str, min_size: usize) -> Result<usize, DecodeError> {
        let len = u32::decode(self)? as usize;
        let limit = self.left.len() / min_size.max(1);
        if len > limit {
            return Err(DecodeError::TooLong {
                what,
                len: len as u64,
                limit: limit as u64,
            });
        }
        Ok(len)
    }
}

/// Can be written to the wire.
pub trait Encode {
    /// Appends the value to `out`.
    fn encode(&self, out: &mut Vec<u8>);
}

/// Can be read from the wire.
pub trait Decode: Sized {
    /// Takes the value off the front of `input`.
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError>;
}

/// Encodes `value` into a fresh buffer.
pub fn to_bytes(value: &impl Encode) -> Vec<u8> {
    let mut out = Vec::new();
    value.encode(&mut out);
    out
}

/// Decodes a whole message: bytes left over are an error.
pub fn from_bytes<T: Decode>(bytes: &[u8]) -> Result<T, DecodeError> {
    let mut reader = Reader::new(bytes);
    let value = T::decode(&mut reader)?;
    reader.end()?;
    Ok(value)
}

macro_rules! numbers {
    ($($number:ty),*) => {$(
        impl Encode for $number {
            fn encode(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
        }
        impl Decode for $number {
            fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
                let bytes = input.bytes(size_of::<Self>())?;
                let mut array = [0; size_of::<Self>()];
                array.copy_from_slice(bytes);
                Ok(Self::from_le_bytes(array))
            }
        }
    )*};
}
numbers!(u8, u16, u32, u64, i32, i64, f32, f64);

// `usize` travels as `u64`: both ends are 64-bit, and a value that does not fit is refused.
impl Encode for usize {
    fn encode(&self, out: &mut Vec<u8>) {
        (*self as u64).encode(out);
    }
}

impl Decode for usize {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let value = u64::decode(input)?;
        Self::try_from(value).map_err(|_| DecodeError::Invalid {
            what: "size",
            value,
        })
    }
}

impl Encode for bool {
    fn encode(&self, out: &mut Vec<u8>) {
        u8::from(*self).encode(out);
    }
}

impl Decode for bool {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match u8::decode(input)? {
            0 => Ok(false),
            1 => Ok(true),
            value => Err(DecodeError::Invalid {
                what: "flag",
                value: value.into(),
            }),
        }
    }
}

impl Encode for () {
    fn encode(&self, _: &mut Vec<u8>) {}
}

impl Decode for () {
    fn decode(_: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(())
    }
}

impl<K: Named> Encode for Id<K> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }
}

impl<K: Named> Decode for Id<K> {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        u32::decode(input).map(Self::new)
    }
}

impl<T: Encode, const N: usize> Encode for [T; N] {
    fn encode(&self, out: &mut Vec<u8>) {
        for item in self {
            item.encode(out);
        }
    }
}

impl<T: Decode + Default + Copy, const N: usize> Decode for [T; N] {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut items = [T::default(); N];
        for item in &mut items {
            *item = T::decode(input)?;
        }
        Ok(items)
    }
}

impl<A: Encode, B: Encode> Encode for (A, B) {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
        self.1.encode(out);
    }
}

impl<A: Decode, B: Decode> Decode for (A, B) {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok((A::decode(input)?, B::decode(input)?))
    }
}

impl<T: Encode> Encode for Option<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.is_some().encode(out);
        if let Some(value) = self {
            value.encode(out);
        }
    }
}

impl<T: Decode> Decode for Option<T> {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        bool::decode(input)?.then(|| T::decode(input)).transpose()
    }
}

impl<T: Encode> Encode for Vec<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        (self.len() as u32).encode(out);
        for item in self {
            item.encode(out);
        }
    }
}

impl<T: Decode> Decode for Vec<T> {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        // An item takes at least a byte on the wire, so the count is bounded by the message; memory
        // grows as items are really read.
        let count = input.count("list", 1)?;
        let mut items = Self::with_capacity(count.min(limits::PREALLOCATED_ITEMS));
        for _ in 0..count {
            items.push(T::decode(input)?);
        }
        Ok(items)
    }
}

impl Encode for String {
    fn encode(&self, out: &mut Vec<u8>) {
        (self.len() as u32).encode(out);
        out.extend_from_slice(self.as_bytes());
    }
}

impl Decode for String {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let len = input.count("text", 1)?;
        let bytes = input.bytes(len)?;
        std::str::from_utf8(bytes)
            .map(Self::from)
            .map_err(|_| DecodeError::NotUtf8)
    }
}

/// Declares a struct whose wire form is its fields in order.
///
/// `message! { /// doc  pub struct Point { /// doc  x: u32, /// doc  y: u32, } }` makes the struct,
/// [`Encode`] and [`Decode`].
#[macro_export]
macro_rules! message {
    ($($(#[$meta:meta])* pub struct $name:ident { $($(#[$field_meta:meta])* $field:ident: $type:ty,)* })*) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name {
            $($(#[$field_meta])* pub $field: $type,)*
        }

        impl $crate::wire::Encode for $name {
            fn encode(&self, _out: &mut Vec<u8>) {
                $($crate::wire::Encode::encode(&self.$field, _out);)*
            }
        }

        impl $crate::wire::Decode for $name {
            fn decode(_input: &mut $crate::wire::Reader<'_>) -> Result<Self, $crate::wire::DecodeError> {
                Ok(Self { $($field: $crate::wire::Decode::decode(_input)?,)* })
            }
        }
    )*};
}

/// Declares an enum without data that travels as a `u8`; an unknown number is refused.
#[macro_export]
macro_rules! choice {
    ($($(#[$meta:meta])* pub enum $name:ident { $($(#[$item_meta:meta])* $item:ident = $number:literal,)* })*) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum $name {
            $($(#[$item_meta])* $item = $number,)*
        }

        impl $crate::wire::Encode for $name {
            fn encode(&self, out: &mut Vec<u8>) {
                (*self as u8).encode(out);
            }
        }

        impl $crate::wire::Decode for $name {
            fn decode(input: &mut $crate::wire::Reader<'_>) -> Result<Self, $crate::wire::DecodeError> {
                match u8::decode(input)? {
                    $($number => Ok(Self::$item),)*
                    value => Err($crate::wire::DecodeError::Invalid { what: stringify!($name), value: value.into() }),
                }
            }
        }
    )*};
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_list_longer_than_its_message_is_refused_before_allocation() {
        let bytes = u32::MAX.to_le_bytes();
        assert!(matches!(
            from_bytes::<Vec<u8>>(&bytes),
            Err(DecodeError::TooLong { .. })
        ));
        assert!(matches!(
            from_bytes::<String>(&bytes),
            Err(DecodeError::TooLong { .. })
        ));
    }

    #[test]
    fn bytes_left_over_are_refused() {
        assert_eq!(
            from_bytes::<u8>(&[1, 2]),
            Err(DecodeError::Long { extra: 1 })
        );
    }

    #[test]
    fn a_flag_is_zero_or_one() {
        assert!(from_bytes::<bool>(&[2]).is_err());
    }

    proptest! {
        #[test]
        fn values_survive(a: u64, b: Option<u32>, c: Vec<u16>, d: String) {
            let value = ((a, b), (c, d));
            let bytes = to_bytes(&value);
            type Value = ((u64, Option<u32>), (Vec<u16>, String));
            prop_assert_eq!(from_bytes::<Value>(&bytes), Ok(value));
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = from_bytes::<Vec<(String, Option<u64>)>>(&bytes);
        }
    }
}
