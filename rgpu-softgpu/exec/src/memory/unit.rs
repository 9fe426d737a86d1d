//! A unit of addresses that small allocations share. Pages in which nothing is allocated any more are closed, so that
//! kernels which still use them fault; those of a fresh unit stay open, as a GPU maps whole units.

use std::io;
use std::ops::Range;

use super::spans::Spans;
use super::window::{Access, Window};
use super::{Group, PAGE, UNIT, budget};

const PAGES: usize = (UNIT / PAGE) as usize;

#[derive(Debug)]
pub(super) struct Unit {
    pub(super) group: Group,
    pub(super) free: Spans,
    base: u64,
    closed: [bool; PAGES],
}

impl Unit {
    /// An open unit at `base`.
    pub(super) fn new(group: Group, base: u64) -> Self {
        Self {
            group,
            free: Spans::new(base, base + UNIT, budget::GRAIN),
            base,
            closed: [false; PAGES],
        }
    }

    /// Opens the pages of an allocation in the views that show it.
    pub(super) fn open(
        &mut self,
        window: &Window,
        views: &[usize],
        at: u64,
        size: u64,
    ) -> io::Result<()> {
        let last = (at + size - 1 - self.base) / PAGE;
        let pages = ((at - self.base) / PAGE) as usize..last as usize + 1;
        if self.closed[pages.clone()].contains(&true) {
            self.protect(window, views, pages.clone(), Access::ReadWrite)?;
            self.closed[pages].fill(false);
        }
        Ok(())
    }

    /// Closes the pages of a freed allocation that hold no other.
    pub(super) fn close(
        &mut self,
        window: &Window,
        views: &[usize],
        at: u64,
        size: u64,
    ) -> io::Result<()> {
        let Some(free) = self.free.around(at) else {
            return Ok(());
        };
        let first = (at / PAGE * PAGE).max(free.start.next_multiple_of(PAGE));
        let end = (at + size)
            .next_multiple_of(PAGE)
            .min(free.end / PAGE * PAGE);
        if first >= end {
            return Ok(());
        }
        let pages = ((first - self.base) / PAGE) as usize..((end - self.base) / PAGE) as usize;
        self.protect(window, views, pages.clone(), Access::None)?;
        self.closed[pages].fill(true);
        Ok(())
    }

    /// Makes a view that has come to show the unit show what the others do.
    pub(super) fn adjust(&self, window: &Window, view: usize) -> io::Result<()> {
        self.protect(window, &[view], 0..PAGES, Access::ReadWrite)?;
        for pages in self.holes() {
            self.protect(window, &[view], pages, Access::None)?;
        }
        Ok(())
    }

    /// Runs of closed pages; each costs the operating system a mapping or two.
    pub(super) fn holes(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        let mut start = 0;
        self.closed.chunk_by(|a, b| a == b).filter_map(move |run| {
            let pages = start..start + run.len();
            start = pages.end;
            run[0].then_some(pages)
        })
    }

    fn protect(
        &self,
        window: &Window,
        views: &[usize],
        pages: Range<usize>,
        access: Access,
    ) -> io::Result<()> {
        let (at, size) = (pages.start as u64 * PAGE, pages.len() as u64 * PAGE);
        views
            .iter()
            .try_for_each(|view| window.protect(*view, self.base + at, size, access))
    }
}
