//! One file per subcommand.

pub(crate) mod bench;
pub(crate) mod function;
pub(crate) mod local;
pub(crate) mod ptxas;
pub(crate) mod run;
pub(crate) mod serve;
pub(crate) mod smi;
pub(crate) mod trace;
pub(crate) mod up;
pub(crate) mod worker;
