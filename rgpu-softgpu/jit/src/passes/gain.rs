//! Whether running threads together is worth the code that it takes: up to sixteen times a statement's for one that goes thread
//! by thread, beside the code for threads that go on alone.

use std::collections::HashMap;

use rgpu_ptx::ast::Body;

use super::meet::back_edges;
use super::wide::{LANES, PARTS, Way};

/// How many times fewer instructions the threads must run.
const LEAST_GAIN: usize = 2;
/// Below that, a kernel with barriers may still have so many instructions: work in shared memory is often worth the
/// last tenth, which independent threads side by side give the processor (a histogram: 0.82 of C's speed, 0.74
/// thread by thread).
const SMALL: usize = 1200;
/// Loops inside of loops count so many times; deeper ones no more.
const DEEPEST: u32 = 2;
/// Rounds that a loop is taken to run.
const ROUNDS: usize = 8;

/// Whether the threads of a kernel should run together. `ways` tells how each of its instructions would.
pub(crate) fn pays(body: &Body, ways: &HashMap<usize, Way>, has_barriers: bool) -> bool {
    let mut depth = vec![0_u32; body.statements.len()];
    for range in back_edges(body) {
        depth[range].iter_mut().for_each(|depth| *depth += 1);
    }
    let (mut together, mut alone, mut code) = (0, 0, 0);
    for (at, way) in ways {
        let copies = match way {
            Way::Once => 1,
            Way::Parts => PARTS,
            Way::Lanes => LANES,
        };
        let rounds = ROUNDS.pow(depth[*at].min(DEEPEST));
        together += rounds * copies;
        alone += rounds * LANES;
        code += copies;
    }
    alone >= LEAST_GAIN * together || has_barriers && code <= SMALL
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A loop of two instructions in front of three others, each in a way of its own.
    fn pays_with(ways: [Way; 5], has_barriers: bool) -> bool {
        let text = ".version 8.0\n.target sm_90\n.address_size 64\n.visible .entry k() {\n\
                    .reg .pred %p<2>; .reg .b32 %r<8>;\n\
                    L: add.u32 %r1, %r1, 1; setp.lt.u32 %p1, %r1, 9; @%p1 bra L;\n\
                    add.u32 %r2, %r1, 1; add.u32 %r3, %r1, 2; add.u32 %r4, %r1, 3;\n}\n";
        let module = rgpu_ptx::Module::parse(text).unwrap();
        let body = crate::module::body(&module, module.function_id("k").unwrap()).unwrap();
        let places = [1, 2, 4, 5, 6];
        pays(&body, &places.into_iter().zip(ways).collect(), has_barriers)
    }

    #[test]
    fn loops_decide() {
        use Way::{Lanes, Once, Parts};
        // One by one: 16 * (16 + 3) = 304. Together: 16 + 48, 64 + 48, 256 + 3, 304.
        assert!(pays_with([Once, Once, Lanes, Lanes, Lanes], false));
        assert!(pays_with([Parts, Parts, Lanes, Lanes, Lanes], false));
        assert!(!pays_with([Lanes, Lanes, Once, Once, Once], false));
        assert!(!pays_with([Lanes; 5], false));
    }

    #[test]
    fn small_kernels_with_barriers_run_together() {
        assert!(pays_with([Way::Lanes; 5], true));
    }
}
