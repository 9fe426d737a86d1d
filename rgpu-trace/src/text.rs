//! Numbers as people read them, and tables.

/// Nanoseconds.
pub(crate) fn time(nanoseconds: u64) -> String {
    match nanoseconds as f64 {
        n if n < 1e3 => format!("{n} ns"),
        n if n < 1e6 => format!("{:.1} µs", n / 1e3),
        n if n < 1e9 => format!("{:.2} ms", n / 1e6),
        n => format!("{:.2} s", n / 1e9),
    }
}

/// Bytes.
pub(crate) fn bytes(bytes: u64) -> String {
    match bytes as f64 {
        n if n < 1024.0 => format!("{n} B"),
        n if n < 1_048_576.0 => format!("{:.1} KiB", n / 1024.0),
        n if n < 1_073_741_824.0 => format!("{:.1} MiB", n / 1_048_576.0),
        n => format!("{:.2} GiB", n / 1_073_741_824.0),
    }
}

/// A part of a whole, in percent.
pub(crate) fn share(part: u64, whole: u64) -> String {
    format!("{:.0} %", 100.0 * part as f64 / whole.max(1) as f64)
}

/// Rows in columns: the first to the left, the others to the right.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::from(" ");
        for (at, (cell, width)) in row.iter().zip(&widths).enumerate() {
            line += &match at {
                0 => format!(" {cell:<width$}"),
                _ => format!("  {cell:>width$}"),
            };
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!(
            [999, 1500, 2_500_000, 3_210_000_000].map(time),
            ["999 ns", "1.5 µs", "2.50 ms", "3.21 s"]
        );
        assert_eq!(
            [1023, 1536, 3 << 19, 5 << 30].map(bytes),
            ["1023 B", "1.5 KiB", "1.5 MiB", "5.00 GiB"]
        );
        assert_eq!((share(1, 3), share(0, 0)), ("33 %".into(), "0 %".into()));
    }

    #[test]
    fn numbers_stand_to_the_right() {
        let rows = [vec!["a".into(), "10".into()], vec!["bc".into(), "9".into()]];
        assert_eq!(table(&rows), "  a   10\n  bc   9\n");
    }
}
