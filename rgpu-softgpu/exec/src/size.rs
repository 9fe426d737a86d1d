//! Sizes as users write them in environment variables.

/// Bytes in a number with K, M, G or T (powers of 1024; an `iB` or `B` may follow), or in a bare number.
pub fn parse(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let shift = match unit.trim_start().to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "ki" | "kib" => 10,
        "m" | "mb" | "mi" | "mib" => 20,
        "g" | "gb" | "gi" | "gib" => 30,
        "t" | "tb" | "ti" | "tib" => 40,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_their_units() {
        assert_eq!(parse("1048576"), Some(1 << 20));
        assert_eq!(parse("8GiB"), Some(8 << 30));
        assert_eq!(parse(" 512 M "), Some(512 << 20));
        assert_eq!(parse("3t"), Some(3 << 40));
        for wrong in ["", "G", "8 Gb/s", "-1", "99999999999T"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
