//! Where each function keeps its variables: `.local` ones and parameters whose address is taken in the
//! thread's local memory, the `.param` variables of calls in slots of the host stack.

use std::collections::HashMap;

use rgpu_ptx::ast::{FuncId, LocalId, Symbol};
use rgpu_ptx::types::StateSpace;

use super::reach::Reached;
use super::visit;

/// Local memory set aside for recursion, `alloca` and calls through pointers, whose depth is unknown.
pub(crate) const OPEN_ENDED_RESERVE: u64 = 64 << 10;
/// Frames keep this alignment, so that a variable's own alignment holds in any call depth.
const FRAME_ALIGN: u64 = 16;

/// The local memory of one function.
#[derive(Debug, Clone, Default)]
pub(crate) struct Frame {
    /// Bytes, a multiple of the frame alignment.
    pub(crate) size: u64,
    /// Offset in the frame of `.local` variables and of `.param` variables whose address is taken.
    pub(crate) locals: HashMap<LocalId, u64>,
    /// Offset in the frame of the copies of parameters whose address is taken.
    pub(crate) params: HashMap<u32, u64>,
    /// The body allocates at run time.
    pub(crate) dynamic: bool,
}

/// Frames of all functions, and what a thread needs in all.
#[derive(Debug, Clone)]
pub(crate) struct Frames {
    /// In the order of [`Reached::functions`].
    pub(crate) frames: Vec<Frame>,
    /// Local memory per thread.
    pub(crate) local_size: u64,
}

/// Lays out every function and sums up the deepest chain of calls.
pub(crate) fn run(reached: &Reached) -> Frames {
    let frames: Vec<Frame> = (0..reached.functions.len())
        .map(|at| frame(reached, at))
        .collect();
    let mut depth = Depth {
        reached,
        frames: &frames,
        state: vec![State::New; frames.len()],
        open: false,
    };
    let chain = depth.of(0);
    let open = depth.open || frames.iter().any(|frame| frame.dynamic);
    let reserve = if open { OPEN_ENDED_RESERVE } else { 0 };
    Frames {
        local_size: chain + reserve,
        frames,
    }
}

fn align_up(value: u64, align: u64) -> u64 {
    value.next_multiple_of(align.max(1))
}

fn frame(reached: &Reached, at: usize) -> Frame {
    let function = &reached.functions[at];
    let mut frame = Frame::default();
    let mut top = 0;
    for (index, variable) in function.body.vars.iter().enumerate() {
        let id = LocalId(u32::try_from(index).unwrap_or(u32::MAX));
        let escapes =
            variable.space == StateSpace::Param && function.escaping.contains(&Symbol::Local(id));
        if variable.space == StateSpace::Local || escapes {
            top = align_up(top, u64::from(variable.align));
            frame.locals.insert(id, top);
            top += variable.size;
        }
    }
    if !function.is_kernel {
        for (index, param) in (0_u32..).zip(&function.params) {
            if function.escaping.contains(&Symbol::Param(index)) {
                top = align_up(top, u64::from(param.align));
                frame.params.insert(index, top);
                top += param.size;
            }
        }
    }
    frame.size = align_up(top, FRAME_ALIGN);
    frame.dynamic = visit::has_alloca(&function.body);
    frame
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    Open,
    Done(u64),
}

struct Depth<'a> {
    reached: &'a Reached,
    frames: &'a [Frame],
    state: Vec<State>,
    /// A cycle or a call through a pointer was met.
    open: bool,
}

impl Depth<'_> {
    fn of(&mut self, at: usize) -> u64 {
        match self.state[at] {
            State::Done(depth) => return depth,
            State::Open => {
                self.open = true;
                return 0;
            }
            State::New => {}
        }
        self.state[at] = State::Open;
        let function = &self.reached.functions[at];
        self.open |= function.calls_indirectly;
        let callees: Vec<FuncId> = if function.calls_indirectly {
            function
                .callees
                .iter()
                .chain(&self.reached.address_taken)
                .copied()
                .collect()
        } else {
            function.callees.clone()
        };
        let mut deepest = 0;
        for callee in callees {
            if let Some(next) = self.reached.index_of(callee) {
                deepest = deepest.max(self.of(next));
            }
        }
        let depth = deepest + self.frames[at].size;
        self.state[at] = State::Done(depth);
        depth
    }
}
