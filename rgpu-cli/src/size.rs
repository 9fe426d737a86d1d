//! Sizes as people write them: `512Mi`, `2Gi`, `1G`, `4096`.

/// Reads a size in bytes, with Kubernetes' suffixes (`Ki`, `Mi`, `Gi`, `Ti`, `k`, `M`, `G`, `T`).
///
/// # Errors
/// What is wrong with the text, in words.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    const SUFFIXES: [(&str, u64); 8] = [
        ("Ki", 1 << 10),
        ("Mi", 1 << 20),
        ("Gi", 1 << 30),
        ("Ti", 1 << 40),
        ("k", 1_000),
        ("M", 1_000_000),
        ("G", 1_000_000_000),
        ("T", 1_000_000_000_000),
    ];
    let wrong = || format!("`{text}` is no size; write bytes or 512Mi, 2Gi, 1G and the like");
    let suffix = SUFFIXES
        .iter()
        .find_map(|(suffix, unit)| Some((text.strip_suffix(suffix)?, *unit)));
    let (number, unit) = suffix.unwrap_or((text, 1));
    let number: u64 = number.trim().parse().map_err(|_| wrong())?;
    let bytes = number.checked_mul(unit).ok_or_else(wrong)?;
    if bytes == 0 {
        Err(format!("`{text}`: a size of zero makes no sense here"))
    } else {
        Ok(bytes)
    }
}

/// Bytes, for people.
pub(crate) fn show(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 || value.fract() == 0.0 {
        format!("{value:.0} {}", UNITS[unit])
    } else {
        format!("{value:.1} {}", UNITS[unit])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read() {
        assert_eq!(parse("4096"), Ok(4096));
        assert_eq!(parse("512Mi"), Ok(512 << 20));
        assert_eq!(parse("2Gi"), Ok(2 << 30));
        assert_eq!(parse("1G"), Ok(1_000_000_000));
    }

    #[test]
    fn what_is_no_size_is_refused_in_words() {
        for text in ["", "Mi", "1.5Gi", "-1", "0", "99999999999Ti", "1GiB"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_shown() {
        assert_eq!(show(0), "0 B");
        assert_eq!(show(256 << 20), "256 MiB");
        assert_eq!(show(1536 << 20), "1.5 GiB");
    }
}
