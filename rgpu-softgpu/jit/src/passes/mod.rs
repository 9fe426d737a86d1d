//! What must be known of a kernel before code is emitted. One pass per file; [`run`] is the list.

pub(crate) mod bounds;
pub(crate) mod exits;
pub(crate) mod flow;
pub(crate) mod frames;
pub(crate) mod gain;
pub(crate) mod groups;
pub(crate) mod live;
pub(crate) mod meet;
pub(crate) mod needs;
pub(crate) mod reach;
pub(crate) mod reg_types;
pub(crate) mod regions;
pub(crate) mod resume;
pub(crate) mod shape;
pub(crate) mod shared;
pub(crate) mod visit;
pub(crate) mod wide;

use cranelift_codegen::ir::Type;
use rgpu_ptx::Module;
use rgpu_ptx::ast::FuncId;

use crate::dump::Dump;
use crate::error::Error;

/// Everything the emitter needs of a kernel and the functions it may reach.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) reached: reach::Reached,
    pub(crate) exits: Vec<bool>,
    pub(crate) meeting: meet::Meeting,
    /// How one call of the kernel runs a block, if it does.
    pub(crate) wide: Option<wide::Wide>,
    /// What threads keep while they are stopped, if the kernel is resumable.
    pub(crate) resume: Option<resume::Resume>,
    /// Accesses of the kernel that need no check, and what that takes for granted.
    pub(crate) bounds: bounds::Bounds,
    pub(crate) shared: shared::SharedLayout,
    pub(crate) frames: frames::Frames,
    /// Accesses of each function that share a check.
    pub(crate) groups: Vec<groups::Groups>,
    /// Machine types of the registers of each function.
    pub(crate) reg_types: Vec<Vec<Type>>,
}

/// Runs the passes in order.
pub(crate) fn run(
    module: &Module,
    kernel: FuncId,
    trust: bounds::Trust,
    dump: &mut Dump,
) -> Result<Plan, Error> {
    let reached = reach::run(module, kernel)?;
    dump.pass("reach", &reached);
    let exits = exits::run(&reached);
    dump.pass("exits", &exits);
    let meeting = meet::run(module, &reached);
    dump.pass("meet", &meeting);
    let shared = shared::run(module, &reached);
    dump.pass("shared", &shared);
    let frames = frames::run(&reached);
    dump.pass("frames", &frames);
    let reg_types: Vec<Vec<Type>> = reached
        .functions
        .iter()
        .map(|f| reg_types::run(&f.body))
        .collect();
    dump.pass("reg_types", &reg_types);
    let first = &reached.functions[0];
    let live = live::Live::new(&first.body);
    let wide = wide::run(&reached, &meeting, &frames, &live, &reg_types[0]);
    dump.pass("wide", &wide);
    let resume = match wide {
        Some(_) => None,
        None => resume::run(&reached, &meeting, &live, &reg_types[0]),
    };
    dump.pass("resume", &resume);
    let bounds = bounds::run(module, first, &shared, &live.at_entry(), trust);
    dump.pass("bounds", &bounds);
    let groups = reached
        .functions
        .iter()
        .enumerate()
        .map(|(at, f)| {
            let checked = |statement: usize| at != 0 || !bounds.unchecked.contains(&statement);
            groups::run(&f.body, &checked)
        })
        .collect();
    dump.pass("groups", &groups);
    Ok(Plan {
        reached,
        exits,
        meeting,
        wide,
        resume,
        bounds,
        shared,
        frames,
        groups,
        reg_types,
    })
}
