//! Whoever waits for a flag sees it in the end.

use std::time::Duration;

use super::*;

fn wait_for(ctx: Ctx, flag: &AtomicU64, value: u64) {
    while flag.load(Ordering::Acquire) < value {
        yield_now(ctx);
    }
}

#[test]
fn of_another_thread_of_the_warp() {
    unsafe extern "C" fn entry(ctx: Ctx) {
        let (tid, flag) = (context(ctx).tid[0], argument::<AtomicU64>(ctx));
        wait_for(ctx, flag, u64::from(63 - tid));
        flag.fetch_add(1, Ordering::Release);
    }
    let flag = AtomicU64::new(0);
    run(&pool(1), kernel(entry, true), 1, 64, &flag).unwrap();
    assert_eq!(flag.into_inner(), 64);
}

#[test]
fn of_a_later_block_even_with_one_worker() {
    unsafe extern "C" fn entry(ctx: Ctx) {
        let (block, last) = (context(ctx).ctaid[0], context(ctx).nctaid[0] - 1);
        let flag = argument::<AtomicU64>(ctx);
        if context(ctx).tid[0] == 0 {
            wait_for(ctx, flag, u64::from(last - block));
            flag.fetch_add(1, Ordering::Release);
        }
        sync(ctx);
    }
    for threads in [1, 2, 4] {
        let flag = AtomicU64::new(0);
        run(&pool(threads), kernel(entry, true), 20, 40, &flag).unwrap();
        assert_eq!(flag.into_inner(), 20);
    }
}

#[test]
fn of_all_blocks_as_a_grid_barrier() {
    unsafe extern "C" fn entry(ctx: Ctx) {
        let (count, blocks) = (
            argument::<AtomicU64>(ctx),
            u64::from(context(ctx).nctaid[0]),
        );
        for phase in 1..=20 {
            sync(ctx);
            if context(ctx).tid[0] == 0 {
                count.fetch_add(1, Ordering::AcqRel);
                wait_for(ctx, count, phase * blocks);
            }
            sync(ctx);
        }
    }
    for threads in [1, 2] {
        let count = AtomicU64::new(0);
        run(&pool(threads), kernel(entry, true), 16, 64, &count).unwrap();
        assert_eq!(count.into_inner(), 16 * 20);
    }
}

#[test]
fn of_all_blocks_of_large_cooperative_grids_side_by_side() {
    unsafe extern "C" fn entry(ctx: Ctx) {
        let (count, blocks) = (
            argument::<AtomicU64>(ctx),
            u64::from(context(ctx).nctaid[0]),
        );
        assert_ne!(context(ctx).grid_workspace, 0);
        if context(ctx).tid[0] == 0 {
            count.fetch_add(1, Ordering::AcqRel);
            wait_for(ctx, count, blocks);
        }
        sync(ctx);
    }
    let pool = pool(2);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let (count, memory) = (AtomicU64::new(0), device().memory());
                let workspace = memory.allocate(WORKSPACE).unwrap();
                let address = (std::ptr::from_ref(&count).expose_provenance() as u64).to_ne_bytes();
                let launch = Launch {
                    kernel: kernel(entry, true),
                    grid: [12, 1, 1],
                    block: [512, 1, 1],
                    dynamic_shared: 0,
                    params: &address,
                    cancel: CancelToken::new(),
                };
                pool.launch_with(&launch, workspace, 0).unwrap();
                memory.release(workspace).unwrap();
                assert_eq!(count.into_inner(), 12);
            });
        }
    });
}

/// Waits for the flag to be 1, then makes it 2.
unsafe extern "C" fn answer(ctx: Ctx) {
    let flag = argument::<AtomicU64>(ctx);
    wait_for(ctx, flag, 1);
    flag.store(2, Ordering::Release);
}

#[test]
fn of_the_host() {
    let (pool, flag) = (pool(2), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let launch = scope.spawn(|| run(&pool, kernel(answer, true), 1, 32, &flag));
        // Long enough that the block looks less and less often.
        std::thread::sleep(Duration::from_millis(50));
        assert!(!launch.is_finished());
        flag.store(1, Ordering::Release);
        launch.join().unwrap().unwrap();
    });
    assert_eq!(flag.into_inner(), 2);
}

#[test]
fn of_another_kernel_launched_later() {
    unsafe extern "C" fn set(ctx: Ctx) {
        argument::<AtomicU64>(ctx).fetch_max(1, Ordering::Release);
    }
    for threads in [1, 2] {
        for threads_meet in [false, true] {
            let (pool, flag) = (pool(threads), AtomicU64::new(0));
            std::thread::scope(|scope| {
                // More spinning blocks than workers.
                let launch = scope.spawn(|| run(&pool, kernel(answer, true), 6, 32, &flag));
                run(&pool, kernel(set, threads_meet), 300, 32, &flag).unwrap();
                launch.join().unwrap().unwrap();
            });
        }
    }
}

#[test]
fn sleepers_wake() {
    unsafe extern "C" fn entry(ctx: Ctx) {
        let flag = argument::<AtomicU64>(ctx);
        if context(ctx).tid[0] == 0 {
            for _ in 0..10 {
                call!(nanosleep: fn(Ctx, u32); ctx, 200_000);
            }
            flag.store(1, Ordering::Release);
        } else {
            while flag.load(Ordering::Acquire) == 0 {
                call!(nanosleep: fn(Ctx, u32); ctx, 20);
            }
        }
    }
    let flag = AtomicU64::new(0);
    run(&pool(1), kernel(entry, true), 1, 33, &flag).unwrap();
}

#[test]
fn two_launches_share_the_workers() {
    unsafe extern "C" fn entry(ctx: Ctx) {
        for _ in 0..5 {
            sync(ctx);
            yield_now(ctx);
        }
        argument::<AtomicU64>(ctx).fetch_add(1, Ordering::Relaxed);
    }
    let (pool, counts) = (pool(3), [const { AtomicU64::new(0) }; 4]);
    std::thread::scope(|scope| {
        for count in &counts {
            let pool = &pool;
            scope.spawn(move || {
                for _ in 0..10 {
                    run(pool, kernel(entry, true), 30, 64, count).unwrap();
                }
            });
        }
    });
    assert!(
        counts
            .iter()
            .all(|count| count.load(Ordering::Relaxed) == 10 * 30 * 64)
    );
}

#[test]
fn cancelling_ends_a_kernel_that_spins_for_ever() {
    unsafe extern "C" fn entry(ctx: Ctx) {
        argument::<AtomicU64>(ctx).fetch_add(1, Ordering::Release);
        loop {
            yield_now(ctx);
        }
    }
    let (pool, started, cancel) = (pool(2), AtomicU64::new(0), CancelToken::new());
    let address = (std::ptr::from_ref(&started).expose_provenance() as u64).to_ne_bytes();
    for (threads_meet, expected) in [(true, 1), (false, 2)] {
        let cancel = if threads_meet {
            cancel.clone()
        } else {
            CancelToken::new()
        };
        let launch = Launch {
            kernel: kernel(entry, threads_meet),
            grid: [100, 1, 1],
            block: [64, 1, 1],
            dynamic_shared: 0,
            params: &address,
            cancel: cancel.clone(),
        };
        let before = started.load(Ordering::Acquire);
        std::thread::scope(|scope| {
            let running = scope.spawn(|| pool.launch(&launch));
            while started.load(Ordering::Acquire) - before < expected {
                std::thread::yield_now();
            }
            cancel.cancel();
            assert_eq!(fault(running.join().unwrap()).trap, Trap::Cancelled);
        });
    }
}

#[test]
fn blocks_of_an_urgent_grid_start_first() {
    use std::sync::atomic::AtomicBool;
    use std::time::Instant;

    /// What both grids see. Blocks wait here as no block of a GPU could: they hold their operating system thread.
    #[derive(Default)]
    struct Scene {
        low_started: AtomicBool,
        urgent_inside: AtomicU64,
        low_blocks: AtomicU64,
        low_before: AtomicU64,
    }

    fn hold(until: impl Fn() -> bool) {
        let start = Instant::now();
        while !until() && start.elapsed() < Duration::from_secs(20) {
            std::thread::yield_now();
        }
    }

    unsafe extern "C" fn low(ctx: Ctx) {
        let scene = argument::<Scene>(ctx);
        if context(ctx).ctaid[0] == 0 {
            scene.low_started.store(true, Ordering::Release);
            hold(|| scene.urgent_inside.load(Ordering::Acquire) > 0);
        }
        scene.low_blocks.fetch_add(1, Ordering::AcqRel);
    }

    // Two blocks must be inside at once, and the grid has one thread of its own.
    unsafe extern "C" fn urgent(ctx: Ctx) {
        let scene = argument::<Scene>(ctx);
        let inside = scene.urgent_inside.fetch_add(1, Ordering::AcqRel) + 1;
        if inside == 2 {
            let low = scene.low_blocks.load(Ordering::Acquire);
            scene.low_before.store(low, Ordering::Release);
        }
        hold(|| scene.urgent_inside.load(Ordering::Acquire) >= 2);
    }

    let scene = Scene::default();
    let address = (std::ptr::from_ref(&scene).expose_provenance() as u64).to_ne_bytes();
    let launch = |entry, blocks| Launch {
        kernel: kernel(entry, false),
        grid: [blocks, 1, 1],
        block: [1, 1, 1],
        dynamic_shared: 0,
        params: &address,
        cancel: CancelToken::new(),
    };
    let pool = pool(1);
    std::thread::scope(|scope| {
        scope.spawn(|| pool.launch_with(&launch(low, 1 << 16), 0, 0).unwrap());
        hold(|| scene.low_started.load(Ordering::Acquire));
        pool.launch_with(&launch(urgent, 2), 0, -1).unwrap();
    });
    assert_eq!(scene.urgent_inside.into_inner(), 2);
    // The thread of the other grid came once the blocks that it had claimed were done, with nearly all still to do.
    let before = scene.low_before.into_inner();
    assert!(before < 1 << 15, "{before} of {}", 1 << 16);
    assert_eq!(scene.low_blocks.into_inner(), 1 << 16);
}
