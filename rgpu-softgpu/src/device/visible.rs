//! How many devices there are, and which of them a process sees.

use super::uuid;
use crate::status::{Result, Status};
use rgpu_softgpu_exec::memory::MOST_DEVICES;

/// Names the number of devices of the machine.
const COUNT: &str = "RGPU_SOFT_DEVICES";
/// Names the devices that a process sees, in its order: CUDA's own variable.
const VISIBLE: &str = "CUDA_VISIBLE_DEVICES";

/// The numbers of the devices that the environment asks for.
pub(super) fn from_environment() -> Result<Vec<u32>> {
    let count = match std::env::var_os(COUNT) {
        None => 1,
        Some(text) => text.to_str().and_then(count).ok_or_else(|| {
            tracing::error!(?text, "{COUNT} is not a number from 1 to {MOST_DEVICES}");
            Status::ERROR_INVALID_VALUE
        })?,
    };
    let list = std::env::var(VISIBLE).ok();
    Ok(visible(list.as_deref(), count))
}

fn count(text: &str) -> Option<u32> {
    let count = text.trim().parse().ok()?;
    (1..=MOST_DEVICES as u32).contains(&count).then_some(count)
}

/// The devices named in `list`, up to the first name that is wrong (CUDA C++ Programming Guide, "CUDA Environment
/// Variables"); all of them without a list.
fn visible(list: Option<&str>, count: u32) -> Vec<u32> {
    let Some(list) = list else {
        return (0..count).collect();
    };
    let mut seen = Vec::new();
    for name in list.split(',') {
        match named(name.trim(), count) {
            Some(number) if !seen.contains(&number) => seen.push(number),
            _ => break,
        }
    }
    seen
}

/// The device of an index, or of a UUID or the beginning of one.
fn named(name: &str, count: u32) -> Option<u32> {
    if let Ok(number) = name.parse() {
        return (0..count).contains(&number).then_some(number);
    }
    let wanted = name.strip_prefix("GPU-")?.to_ascii_lowercase();
    let mut found = (0..count).filter(|&number| text_of(uuid(number)).starts_with(&wanted));
    let first = found.next()?;
    found.next().is_none().then_some(first)
}

/// A UUID as people write it.
fn text_of(uuid: [u8; 16]) -> String {
    use std::fmt::Write;
    let mut text = String::new();
    for (at, byte) in uuid.into_iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_counts_up_to_its_first_mistake() {
        assert_eq!(visible(None, 3), [0, 1, 2]);
        assert_eq!(visible(Some("2,0"), 3), [2, 0]);
        assert_eq!(visible(Some("1, 3,0"), 3), [1]);
        assert_eq!(visible(Some("0,0,1"), 3), [0]);
        for none in ["", "-1", "NoDevFiles", "3"] {
            assert!(visible(Some(none), 3).is_empty(), "{none}");
        }
    }

    #[test]
    fn a_device_can_be_named_by_its_uuid() {
        let second = format!("GPU-{}", text_of(uuid(1)));
        assert_eq!(visible(Some(&second), 3), [1]);
        assert_eq!(
            second.len(),
            "GPU-8932f937-d72c-4106-c12f-20bd9faed9f6".len()
        );
        // The beginning that all have in common names none of them.
        assert!(visible(Some(&second[..12]), 3).is_empty());
        assert_eq!(visible(Some(&second[..12]), 1), [0]);
    }

    #[test]
    fn counts_are_small_numbers() {
        assert_eq!((count("4"), count(" 1 ")), (Some(4), Some(1)));
        for wrong in ["0", "17", "-1", "two", ""] {
            assert_eq!(count(wrong), None, "{wrong}");
        }
    }
}
