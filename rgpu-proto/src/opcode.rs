//! Operation numbers: the ids of the rows, and the protocol's own above [`Opcode::PROTOCOL`].

use std::fmt;

use crate::spec;

/// What a frame carries. A plain number: an unknown one is refused by [`Opcode::exists`], never transmuted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Opcode(pub u16);

macro_rules! protocol_ops {
    ($($(#[$meta:meta])* $name:ident = $number:literal;)*) => {
        impl Opcode {
            $($(#[$meta])* pub const $name: Self = Self($number);)*

            const OWN: &[(Self, &str)] = &[$((Self::$name, stringify!($name))),*];
        }
    };
}

protocol_ops! {
    /// A chunk of bulk data of the call `re` (both ways).
    DATA = 0xf001;
    /// Client to server: load a module image ([`crate::msg::module::Load`]); reply [`crate::msg::module::Loaded`].
    MODULE_LOAD = 0xf002;
    /// Client to server: the bytes of an image the server asked for; DATA frames follow.
    MODULE_UPLOAD = 0xf003;
    /// Server to client: a host function is due ([`crate::msg::stream::HostFuncDue`]).
    HOST_FUNC_DUE = 0xf004;
    /// Client to server: that host function has returned.
    HOST_FUNC_DONE = 0xf005;
    /// Server to client: bulk bytes taken off the wire ([`crate::msg::Credit`]).
    CREDIT = 0xf006;
    /// Server to client: bytes that a kernel printed ([`crate::msg::Output`]).
    OUTPUT = 0xf007;
    /// Either way: the session ends, with the reason in words ([`crate::msg::Goodbye`]).
    GOODBYE = 0xf008;
    /// Client to server: does nothing, is answered; for measurements and keep-alive.
    PING = 0xf009;
    /// Client to server: the client could (or could not) reserve the device window.
    WINDOW = 0xf00a;
    /// Client to server: allow for the device memory [address, +size) ([`crate::msg::memory::Back`]).
    MEMORY_BACK = 0xf00b;
    /// Client to server: give the device memory [address, +size) back ([`crate::msg::memory::Unback`]).
    MEMORY_UNBACK = 0xf00c;
    /// Client to server: work issued later waits for all work issued before, on every stream.
    FENCE = 0xf00d;
    /// Client to server: host bytes into device memory ([`crate::msg::memory::CopyIn`]); data inline or bulk.
    COPY_IN = 0xf00e;
    /// Client to server: device bytes to the host ([`crate::msg::memory::CopyOut`]); answered with data.
    COPY_OUT = 0xf00f;
    /// Client to server: device bytes to device memory ([`crate::msg::memory::CopyDevice`]).
    COPY_DEVICE = 0xf010;
    /// Client to server: fill device memory ([`crate::msg::memory::Fill`]).
    FILL = 0xf011;
}

impl Opcode {
    /// First number of the protocol's own operations.
    pub const PROTOCOL: u16 = 0xf000;

    /// The number of the row `name`; a compile-time error where there is none.
    pub const fn of(name: &str) -> Self {
        const TABLES: [&[spec::Row]; 4] = spec::TABLES;
        let mut table = 0;
        while table < TABLES.len() {
            let mut at = 0;
            while at < TABLES[table].len() {
                if same(TABLES[table][at].name, name) {
                    return Self(TABLES[table][at].id);
                }
                at += 1;
            }
            table += 1;
        }
        panic!("no row of that name")
    }

    /// The protocol's own operations.
    pub fn own() -> impl Iterator<Item = Self> {
        Self::OWN.iter().map(|(op, _)| *op)
    }

    /// Whether the protocol has this operation.
    pub fn exists(self) -> bool {
        self.name() != "unknown"
    }

    /// Its name, for people.
    pub fn name(self) -> &'static str {
        if self.0 >= Self::PROTOCOL {
            return Self::OWN
                .iter()
                .find(|(op, _)| *op == self)
                .map_or("unknown", |(_, name)| name);
        }
        spec::row(self.0).map_or("unknown", |row| row.name)
    }
}

impl fmt::Display for Opcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:#06x})", self.name(), self.0)
    }
}

const fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut at = 0;
    while at < a.len() {
        if a[at] != b[at] {
            return false;
        }
        at += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_names() {
        const SYNC: Opcode = Opcode::of("cuStreamSynchronize");
        assert_eq!(SYNC.name(), "cuStreamSynchronize");
        assert_eq!(Opcode::DATA.name(), "DATA");
        assert!(!Opcode(0xefff).exists());
        assert!(!Opcode(0xffff).exists());
    }
}
