//! A fork: the child may not use the driver, the parent goes on. One test in its process.

mod support;

use std::ptr::null_mut;

use rgpu_softgpu::entry::*;
use support::*;

#[test]
fn the_child_is_refused_and_the_parent_goes_on() {
    let _context = Context::new();
    let data = zeros(4);
    let module = module();
    assert_eq!(
        add(function(module, "add"), data, 1, 1, null_mut()),
        SUCCESS
    );
    // SAFETY: the child only makes calls that are refused before they touch anything, and ends.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let mut address = 0;
        let refused = cu!(cuInit(0)) == NOT_INITIALIZED
            && cu!(cuCtxSynchronize()) == NOT_INITIALIZED
            && cu!(cuMemAlloc_v2(&mut address, 16)) == NOT_INITIALIZED;
        // SAFETY: ends the child without running anything of the parent's.
        unsafe { libc::_exit(if refused { 42 } else { 1 }) };
    }
    let mut status = 0;
    // SAFETY: waits for our own child.
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    assert_eq!(libc::WEXITSTATUS(status), 42);
    assert_eq!(
        add(function(module, "add"), data, 1, 1, null_mut()),
        SUCCESS
    );
    assert_eq!(words(data, 1), [2]);
}
