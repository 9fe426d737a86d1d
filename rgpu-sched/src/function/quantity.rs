//! Kubernetes quantities (`256Mi`, `0.5`, `500m`, `1e3`), read exactly and rounded up to whole units.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Why a text is not a quantity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// Not a number followed by a known suffix.
    #[error(
        "`{0}` is not a quantity: write a number and a suffix, such as 256Mi, 2Gi, 1500M, 0.5 or 500m"
    )]
    Malformed(String),
    /// A quantity of memory or processors cannot be negative.
    #[error("`{0}` is negative")]
    Negative(String),
    /// More than a 64-bit count can hold.
    #[error("`{0}` is too large")]
    TooLarge(String),
}

/// Multipliers as numerator and denominator, so that nothing is lost to floating point.
const SUFFIXES: &[(&str, u128, u128)] = &[
    ("Ki", 1 << 10, 1),
    ("Mi", 1 << 20, 1),
    ("Gi", 1 << 30, 1),
    ("Ti", 1 << 40, 1),
    ("Pi", 1 << 50, 1),
    ("Ei", 1 << 60, 1),
    ("n", 1, 1_000_000_000),
    ("u", 1, 1_000_000),
    ("m", 1, 1000),
    ("", 1, 1),
    ("k", 1000, 1),
    ("M", 1_000_000, 1),
    ("G", 1_000_000_000, 1),
    ("T", 1_000_000_000_000, 1),
    ("P", 1_000_000_000_000_000, 1),
    ("E", 1_000_000_000_000_000_000, 1),
];

/// Digits beyond this cannot matter in a 64-bit count and would overflow the exact arithmetic.
const MAX_DIGITS: usize = 24;

/// Reads `text` in units of 1/`per_unit`, rounding up as Kubernetes does.
fn parse(text: &str, per_unit: u128) -> Result<u64, QuantityError> {
    let malformed = || QuantityError::Malformed(text.to_owned());
    let too_large = || QuantityError::TooLarge(text.to_owned());
    let trimmed = text.trim();
    if trimmed.starts_with('-') {
        return Err(QuantityError::Negative(text.to_owned()));
    }
    let unsigned = trimmed.strip_prefix('+').unwrap_or(trimmed);
    let end = unsigned
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(unsigned.len());
    let (number, suffix) = unsigned.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return Err(malformed());
    }
    if whole.trim_start_matches('0').len() + fraction.len() > MAX_DIGITS {
        return Err(too_large());
    }
    let digits = format!("{whole}{fraction}");
    let mantissa: u128 = digits.parse().map_err(|_| malformed())?;
    let scale = 10u128
        .checked_pow(u32::try_from(fraction.len()).unwrap_or(u32::MAX))
        .ok_or_else(too_large)?;
    let (numerator, denominator) = multiplier(suffix)
        .ok_or_else(malformed)?
        .ok_or_else(too_large)?;
    let top = mantissa
        .checked_mul(numerator)
        .and_then(|v| v.checked_mul(per_unit))
        .ok_or_else(too_large)?;
    let bottom = scale.checked_mul(denominator).ok_or_else(too_large)?;
    u64::try_from(top.div_ceil(bottom)).map_err(|_| too_large())
}

/// The factor that a suffix stands for: `None` if unknown, `Some(None)` if beyond any use.
fn multiplier(suffix: &str) -> Option<Option<(u128, u128)>> {
    if let Some((_, numerator, denominator)) = SUFFIXES.iter().find(|(name, ..)| *name == suffix) {
        return Some(Some((*numerator, *denominator)));
    }
    let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
    let power = 10u128
        .checked_pow(exponent.unsigned_abs())
        .filter(|_| exponent.abs() <= 18);
    Some(power.map(|p| if exponent < 0 { (1, p) } else { (p, 1) }))
}

/// Text as written in a definition; YAML lets people leave numbers unquoted.
pub(crate) fn scalar<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    struct Visitor;
    impl de::Visitor<'_> for Visitor {
        type Value = String;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("text or a number")
        }
        fn visit_str<E: de::Error>(self, v: &str) -> Result<String, E> {
            Ok(v.to_owned())
        }
        fn visit_u64<E: de::Error>(self, v: u64) -> Result<String, E> {
            Ok(v.to_string())
        }
        fn visit_i64<E: de::Error>(self, v: i64) -> Result<String, E> {
            Ok(v.to_string())
        }
        fn visit_f64<E: de::Error>(self, v: f64) -> Result<String, E> {
            Ok(v.to_string())
        }
        fn visit_bool<E: de::Error>(self, v: bool) -> Result<String, E> {
            Ok(v.to_string())
        }
    }
    deserializer.deserialize_any(Visitor)
}

macro_rules! quantity {
    ($(#[$doc:meta])* $name:ident, $unit:literal, $per_unit:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub struct $name {
            text: String,
            value: u64,
        }

        impl $name {
            #[doc = concat!("The quantity in ", $unit, ", rounded up.")]
            #[must_use]
            pub fn get(&self) -> u64 {
                self.value
            }

            /// The quantity as its author wrote it.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.text
            }
        }

        impl std::str::FromStr for $name {
            type Err = QuantityError;
            fn from_str(text: &str) -> Result<Self, QuantityError> {
                Ok(Self { value: parse(text, $per_unit)?, text: text.trim().to_owned() })
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.value == other.value
            }
        }

        impl Eq for $name {}

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.text)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                scalar(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    };
}

quantity! {
    /// An amount of memory.
    Memory, "bytes", 1
}
quantity! {
    /// An amount of processor time.
    Cpu, "thousandths of a processor", 1000
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes(text: &str) -> Result<u64, QuantityError> {
        text.parse::<Memory>().map(|m| m.get())
    }

    #[test]
    fn reads_the_forms_of_the_kubernetes_manual() {
        assert_eq!(bytes("128974848"), Ok(128_974_848));
        assert_eq!(bytes("129e6"), Ok(129_000_000));
        assert_eq!(bytes("129M"), Ok(129_000_000));
        assert_eq!(bytes("128974848000m"), Ok(128_974_848));
        assert_eq!(bytes("123Mi"), Ok(123 << 20));
        assert_eq!(bytes("1.5Gi"), Ok(3 << 29));
        assert_eq!(bytes(".5Ki"), Ok(512));
        assert_eq!("0.1".parse::<Cpu>().unwrap().get(), 100);
        assert_eq!("100m".parse::<Cpu>().unwrap().get(), 100);
        assert_eq!("0.0001".parse::<Cpu>().unwrap().get(), 1, "rounds up");
    }

    #[test]
    fn refuses_with_the_reason() {
        assert!(matches!(bytes("lots"), Err(QuantityError::Malformed(_))));
        assert!(matches!(bytes("256MB"), Err(QuantityError::Malformed(_))));
        assert!(matches!(bytes("1.2.3"), Err(QuantityError::Malformed(_))));
        assert!(matches!(bytes(""), Err(QuantityError::Malformed(_))));
        assert!(matches!(bytes("-1Gi"), Err(QuantityError::Negative(_))));
        assert!(matches!(bytes("16Ei"), Err(QuantityError::TooLarge(_))));
        assert!(matches!(
            bytes("1e400"),
            Err(QuantityError::Malformed(_) | QuantityError::TooLarge(_))
        ));
        assert_eq!(bytes("15Ei"), Ok(15 << 60));
    }

    #[test]
    fn unquoted_numbers_are_accepted() {
        assert_eq!(serde_saphyr::from_str::<Cpu>("1.5").unwrap().get(), 1500);
        assert_eq!(
            serde_saphyr::from_str::<Memory>("1024").unwrap().get(),
            1024
        );
        assert_eq!(
            serde_saphyr::from_str::<Memory>("2Gi").unwrap().get(),
            2 << 30
        );
    }

    proptest! {
        #[test]
        fn never_panics(text in "[-+0-9.a-zA-Z]{0,60}") {
            let _ = bytes(&text);
            let _ = text.parse::<Cpu>();
        }

        #[test]
        fn whole_numbers_are_themselves(n: u64) {
            prop_assert_eq!(bytes(&n.to_string()), Ok(n));
        }
    }
}
