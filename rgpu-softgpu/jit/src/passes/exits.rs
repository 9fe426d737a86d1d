//! Which device functions may end their thread by `exit`: they report it to the caller, which then returns
//! at once.

use super::reach::Reached;

/// One answer per function of [`Reached::functions`].
pub(crate) fn run(reached: &Reached) -> Vec<bool> {
    let mut exits: Vec<bool> = reached
        .functions
        .iter()
        .map(|function| function.exits)
        .collect();
    spread(reached, &mut exits);
    exits
}

/// Passes a property of a function on to all that may call it.
pub(super) fn spread(reached: &Reached, property: &mut [bool]) {
    loop {
        let mut changed = false;
        for (at, function) in reached.functions.iter().enumerate() {
            if property[at] {
                continue;
            }
            let through_pointer = function.calls_indirectly.then_some(&reached.address_taken);
            let callees = function
                .callees
                .iter()
                .chain(through_pointer.into_iter().flatten());
            let mut positions = callees.filter_map(|id| reached.index_of(*id));
            if positions.any(|callee| property[callee]) {
                property[at] = true;
                changed = true;
            }
        }
        if !changed {
            return;
        }
    }
}
