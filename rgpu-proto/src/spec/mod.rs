//! The rows: one per exported C function of the CUDA driver, facts only.
//!
//! ```text
//! 0x0503 custom cuMemAlloc_v2(dptr: Out<u64>, bytesize: In<usize>);
//! id     class  name          parameters, each of a kind of `crate::kinds`
//! ```
//!
//! Ids are permanent: append, never reuse, never renumber (`ids.lock` is a test).
//!
//! | class | meaning |
//! |---|---|
//! | `posted` | sent, not waited for; has no outputs. Its error surfaces with a later reply |
//! | `reply` | waits for its answer |
//! | `local` | answered by the client from what it already knows |
//! | `custom` | hand-written on both sides; the row fixes id, name and signature |
//! | `absent` | exported, answers `CUDA_ERROR_NOT_SUPPORTED`, logged once by name |
//!
//! A consumer is a macro that takes the rows of one family:
//! `rgpu_proto::driver_stream_rows!(my_consumer)` expands to `my_consumer! { rows… }`;
//! [`crate::driver_rows`] feeds every family in turn to a consumer.

pub mod driver;

/// How a call is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Sent, not waited for.
    Posted,
    /// Waits for its answer.
    Reply,
    /// Answered by the client from what it knows.
    Local,
    /// Hand-written on both sides.
    Custom,
    /// Exported, not supported.
    Absent,
}

impl Class {
    /// The word used in the rows.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Posted => "posted",
            Self::Reply => "reply",
            Self::Local => "local",
            Self::Custom => "custom",
            Self::Absent => "absent",
        }
    }
}

/// One row, as data.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// Permanent number; the opcode on the wire.
    pub id: u16,
    /// How it is answered.
    pub class: Class,
    /// Exported C name.
    pub name: &'static str,
    /// Family (the file the row stands in).
    pub family: &'static str,
}

/// The row whose id is `id`.
pub fn row(id: u16) -> Option<&'static Row> {
    driver::ROWS
        .binary_search_by_key(&id, |row| row.id)
        .ok()
        .map(|at| &driver::ROWS[at])
}

/// The row of the exported function `name`.
pub fn row_named(name: &str) -> Option<&'static Row> {
    driver::ROWS.iter().find(|row| row.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_sorted_and_unique() {
        assert!(driver::ROWS.windows(2).all(|pair| pair[0].id < pair[1].id));
    }

    #[test]
    fn ids_never_change() {
        let now: String = driver::ROWS
            .iter()
            .map(|row| format!("{:04x} {}\n", row.id, row.name))
            .collect();
        let lock = include_str!("ids.lock");
        assert!(
            now.starts_with(lock) || lock.lines().all(|line| now.lines().any(|now| now == line)),
            "an id in spec/ids.lock was changed or removed; ids are permanent"
        );
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = driver::ROWS.iter().map(|row| row.name).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn rows_are_found_by_id_and_name() {
        let alloc = row_named("cuMemAlloc_v2").expect("row");
        assert_eq!(row(alloc.id).map(|row| row.name), Some("cuMemAlloc_v2"));
        assert_eq!(row(0xefff).map(|row| row.name), None);
    }
}
