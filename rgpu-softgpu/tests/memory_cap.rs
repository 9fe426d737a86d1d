//! The cap on memory: one test in its process, because it looks at all of it.

mod support;

use rgpu_softgpu::entry::*;
use support::*;

#[test]
fn out_of_memory_is_exact() {
    const CAP: usize = 8 << 20;
    // SAFETY: this process has no other thread yet that reads the environment.
    unsafe { std::env::set_var("RGPU_SOFT_MEMORY", "8M") };
    let context = Context::new();
    let info = || {
        let (mut free, mut total) = (0, 0);
        ok!(cuMemGetInfo_v2(&mut free, &mut total));
        (free, total)
    };
    assert_eq!(info(), (CAP, CAP));
    let mut first = 0;
    ok!(cuMemAlloc_v2(&mut first, CAP - 512));
    let mut second = 0;
    assert_eq!(cu!(cuMemAlloc_v2(&mut second, 513)), OUT_OF_MEMORY);
    ok!(cuMemAlloc_v2(&mut second, 512));
    assert_eq!(info(), (0, CAP));
    assert_eq!(cu!(cuMemAlloc_v2(&mut second, 1)), OUT_OF_MEMORY);
    ok!(cuMemFree_v2(first));

    // What a stream has yet to free can be had once it is freed.
    let stream = stream(0);
    let mut pooled = 0;
    ok!(cuMemAllocAsync(&mut pooled, CAP - 512, stream));
    ok!(cuMemFreeAsync(pooled, stream));
    ok!(cuMemAllocAsync(&mut pooled, CAP - 512, stream));
    assert_eq!(cu!(cuMemAllocAsync(&mut second, 1, stream)), OUT_OF_MEMORY);

    // A context that goes takes its memory along.
    drop(context);
    let _context = Context::new();
    assert_eq!(info(), (CAP, CAP));
}
