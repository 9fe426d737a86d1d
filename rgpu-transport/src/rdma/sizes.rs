//! Sizes that both sides know, and what they guarantee.
//!
//! A receiver has [`CELLS`] receive requests for messages, each with a cell of [`CELL`] bytes, and [`SLOTS`] slots of
//! [`SLOT`] bytes to which its peer writes. A message takes a request; a write takes a request, whose cell stays empty,
//! and a slot. A sender begins with as many credits, spends them, and gets them back in messages that carry counts only.
//! So no message ever finds its receiver without a request.
//!
//! Credits come back in halves: of the requests, or of the slots. Between two such messages lie that many of the
//! sender's own, which it could send only with credits; so at most two for requests and two for slots are on their way or
//! unread, and [`CREDITS`] requests at the sender are enough for them.

/// Messages under way.
pub(super) const CELLS: usize = 64;
/// Bytes of a message: most calls are smaller than a tenth of this.
pub(super) const CELL: usize = 4 << 10;
/// Large pieces under way.
pub(super) const SLOTS: usize = 8;
/// Bytes of a large piece.
pub(super) const SLOT: usize = 256 << 10;
/// Messages with credits under way.
pub(super) const CREDITS: usize = 4;

/// Bytes of all cells.
pub(super) const CELLS_LEN: usize = CELLS * CELL;
/// Bytes of all slots.
pub(super) const SLOTS_LEN: usize = SLOTS * SLOT;

/// The number that comes with a write.
pub(super) const IN_SLOT: u32 = 1;
/// The number of the last message, which has a receive request of its own.
pub(super) const END: u32 = 2;

/// Counts of requests and slots as one number.
pub(super) const fn credits(requests: usize, slots: usize) -> u32 {
    (requests as u32) << 16 | slots as u32
}

/// The counts in such a number.
pub(super) const fn counts(credits: u32) -> (usize, usize) {
    ((credits >> 16) as usize, (credits & 0xffff) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_survive() {
        assert_eq!(counts(credits(CELLS, SLOTS)), (CELLS, SLOTS));
        assert_eq!(credits(3, 4), 0x0003_0004);
    }
}
