//! The rows: one per exported C function of the CUDA driver and of the libraries that are forwarded whole
//! (cuBLAS, cuBLASLt, cuDNN), facts only.
//!
//! ```text
//! 0x0503 custom backed    cuMemAlloc_v2(dptr: Out<u64>, bytesize: In<usize>);
//! id     class  why       name          parameters, each of a kind of `crate::kinds`
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
//! The word after the class says why the caller waits for the server or not ([`Why`]).
//!
//! A consumer is a macro that takes the rows of one family:
//! `rgpu_proto::driver_stream_rows!(my_consumer)` expands to `my_consumer! { rows… }`;
//! [`crate::driver_rows`] feeds every family in turn to a consumer.

pub mod cublas;
pub mod cublaslt;
pub mod cudnn;
pub mod driver;
pub mod why;

pub use why::Why;

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

macro_rules! class {
    (posted) => {
        $crate::spec::Class::Posted
    };
    (reply) => {
        $crate::spec::Class::Reply
    };
    (local) => {
        $crate::spec::Class::Local
    };
    (custom) => {
        $crate::spec::Class::Custom
    };
    (absent) => {
        $crate::spec::Class::Absent
    };
}
use class;

// `0x0802 custom minted cuStreamCreate(…);` becomes
// `Row { id: 0x0802, class: Class::Custom, why: Why::Minted, name: "cuStreamCreate", family: "" }`.
macro_rules! rows_as_data {
    ($($id:literal $class:ident $why:ident $name:ident ($($param:ident : $kind:ty),*);)*) => {
        &[$($crate::spec::Row {
            id: $id,
            class: $crate::spec::class!($class),
            why: $crate::spec::why::why!($why),
            name: stringify!($name),
            family: "",
        }),*]
    };
}
use rows_as_data;

// `"stream" driver_stream_rows;`, one line per family in the order of their ids, becomes the table `ROWS`.
macro_rules! rows_table {
    ($($name:literal $family:ident;)*) => {
        use $crate::spec::rows_as_data;

        /// Families in the order of their ids.
        const FAMILIES: &[(&str, &[$crate::spec::Row])] = &[$(($name, $crate::$family!(rows_as_data))),*];

        /// Every row, in the order of the ids.
        pub static ROWS: [$crate::spec::Row; $crate::spec::count(FAMILIES)] = $crate::spec::joined(FAMILIES);
    };
}
use rows_table;

/// Rows of all families.
const fn count(families: &[(&str, &[Row])]) -> usize {
    let (mut count, mut family) = (0, 0);
    while family < families.len() {
        count += families[family].1.len();
        family += 1;
    }
    count
}

/// The rows of all families, each with its family's name.
const fn joined<const N: usize>(families: &[(&'static str, &[Row])]) -> [Row; N] {
    let mut rows = [Row {
        id: 0,
        class: Class::Absent,
        why: Why::Absent,
        name: "",
        family: "",
    }; N];
    let (mut family, mut at) = (0, 0);
    while family < families.len() {
        let (name, of_family) = families[family];
        let mut row = 0;
        while row < of_family.len() {
            rows[at] = of_family[row];
            assert!(
                rows[at].why.fits(rows[at].class),
                "a row's reason does not go with its class"
            );
            rows[at].family = name;
            at += 1;
            row += 1;
        }
        family += 1;
    }
    rows
}

/// One row, as data.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// Permanent number; the opcode on the wire.
    pub id: u16,
    /// How it is answered.
    pub class: Class,
    /// Why its caller waits or not.
    pub why: Why,
    /// Exported C name.
    pub name: &'static str,
    /// Family (the file the row stands in).
    pub family: &'static str,
}

/// The tables, in the order of their ids.
pub const TABLES: [&[Row]; 4] = [&driver::ROWS, &cublas::ROWS, &cublaslt::ROWS, &cudnn::ROWS];

/// The row whose id is `id`.
pub fn row(id: u16) -> Option<&'static Row> {
    let table = TABLES
        .iter()
        .find(|table| table.last().is_some_and(|row| id <= row.id))?;
    let at = table.binary_search_by_key(&id, |row| row.id).ok()?;
    Some(&table[at])
}

/// The row of the exported function `name`.
pub fn row_named(name: &str) -> Option<&'static Row> {
    all().find(|row| row.name == name)
}

/// Every row of every table, in the order of the ids.
pub fn all() -> impl Iterator<Item = &'static Row> {
    TABLES.iter().copied().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_sorted_and_unique() {
        let ids: Vec<_> = all().map(|row| row.id).collect();
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn ids_never_change() {
        let now: String = all()
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
        let mut names: Vec<_> = all().map(|row| row.name).collect();
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
