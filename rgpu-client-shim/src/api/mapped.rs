//! Launches of kernels that are given addresses of page-locked host memory (`shadow/mirror.rs`; ADR 0021).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use rgpu_proto::msg::memory::{CopyIn, CopyOut, Extent, Pitched};

use super::memory::allocate;
use super::*;
use crate::copy::host::HostBox;
use crate::shadow::mirror::Mirror;

/// The copies of this process, by the host address that they are of.
pub(crate) type Mirrors = BTreeMap<usize, Arc<Mutex<Mirror>>>;

/// A word of a kernel's parameters that is an address of page-locked memory.
struct Word {
    /// Where it stands.
    at: usize,
    /// The memory's start and size.
    start: usize,
    size: usize,
    /// How far into the memory it points.
    offset: u64,
}

/// The aligned words of `packed` that point into page-locked memory.
fn words_of(client: &'static Client, packed: &[u8]) -> Vec<Word> {
    if client.page_locked.is_empty() {
        return Vec::new();
    }
    let (words, _) = packed.as_chunks();
    let values = words.iter().map(|word| u64::from_ne_bytes(*word) as usize);
    let mut found: Vec<_> = values
        .enumerate()
        .filter(|(_, value)| client.page_locked.may_hold(*value))
        .collect();
    if found.is_empty() {
        return Vec::new();
    }
    let memory = client.memory.hold();
    found
        .drain(..)
        .filter_map(|(at, value)| {
            let (start, range) = memory.host.containing(value)?;
            Some(Word {
                at: at * 8,
                start,
                size: range.size,
                offset: (value - start) as u64,
            })
        })
        .collect()
}

/// Posts a launch in `stream` by `post`, with its parameters at the end of `body` from `from` on. Kernels elsewhere
/// cannot reach the host's memory: they get the addresses of copies on the device, which are kept alike.
pub(super) fn launch_with_host_memory(
    client: &'static Client,
    stream: u32,
    body: &mut [u8],
    from: usize,
    post: impl FnOnce(&[u8]) -> Result,
) -> Result {
    let words = words_of(client, &body[from..]);
    if words.is_empty() {
        return post(body);
    }
    // Held to the end, so that launches with the same copy follow each other.
    let mut mirrors = client.mirrors.hold();
    let mut used = BTreeMap::new();
    for word in &words {
        let mirror = match used.get(&word.start) {
            Some((_, mirror)) => Arc::clone(mirror),
            None => to_device(client, &mut mirrors, stream, word)?,
        };
        let address = mirror.hold().device + word.offset;
        body[from + word.at..][..8].copy_from_slice(&address.to_ne_bytes());
        used.insert(word.start, (word.size, mirror));
    }
    post(body)?;
    used.into_iter()
        .try_for_each(|(start, (size, mirror))| fetch(client, stream, start, size, mirror))
}

/// The program's bytes as they are.
fn read(start: usize, size: usize) -> Vec<u8> {
    let mut now = Vec::with_capacity(size);
    // SAFETY: the program's page-locked memory, which it lets kernels read now; `now` has room.
    unsafe {
        std::ptr::copy_nonoverlapping(start as *const u8, now.as_mut_ptr(), size);
        now.set_len(size);
    }
    now
}

/// The copy of the memory that a word points into, made where there is none, with what it lacks on its way.
fn to_device(
    client: &'static Client,
    mirrors: &mut Mirrors,
    stream: u32,
    word: &Word,
) -> Result<Arc<Mutex<Mirror>>> {
    let Word { start, size, .. } = *word;
    let Some(mirror) = mirrors.get(&start) else {
        let context = client.context()?;
        let device = allocate(client, size, 0, None)?.address;
        let mirror = Mirror::new(device, context, start, read(start, size));
        send(client, stream, device, start, 0..size)?;
        let mirror = Arc::new(Mutex::new(mirror));
        mirrors.insert(start, Arc::clone(&mirror));
        return Ok(mirror);
    };
    let mut now = read(start, size);
    let due = {
        let mirror = mirror.hold();
        let unlike = mirror.differs(&now);
        let other = |order: &u32| unlike || *order != order_of(stream);
        mirror.under_way().filter(other)
    };
    if let Some(order) = due {
        wait_for_order(client, order)?;
        now = read(start, size);
    }
    let mut known = mirror.hold();
    let device = known.device;
    for range in known.changes(&now) {
        send(client, stream, device + range.start as u64, start, range)?;
    }
    drop(known);
    Ok(Arc::clone(mirror))
}

fn send(
    client: &'static Client,
    stream: u32,
    device: u64,
    start: usize,
    range: std::ops::Range<usize>,
) -> Result {
    let copy = CopyIn {
        dst: Pitched::linear(device),
        extent: Extent::linear(range.len() as u64),
        stream: Id::new(stream),
    };
    let source = HostBox::linear(start + range.start, range.len());
    client.session.copy_in(&copy, source)
}

/// Behind a launch: what kernels have changed is the program's to see once it has waited for the launch.
fn fetch(
    client: &'static Client,
    stream: u32,
    start: usize,
    size: usize,
    mirror: Arc<Mutex<Mirror>>,
) -> Result {
    let order = order_of(stream);
    let (device, number) = {
        let mut mirror = mirror.hold();
        (mirror.device, mirror.fetch(order))
    };
    let copy = CopyOut {
        src: Pitched::linear(device),
        extent: Extent::linear(size as u64),
        stream: Id::new(stream),
    };
    let mut fetched = vec![0; size];
    let target = HostBox::linear(fetched.as_mut_ptr() as usize, size);
    let stands_for = HostBox::linear(start, size);
    client
        .session
        .fetch(&copy, target, stands_for, order, move || {
            // SAFETY: page-locked memory is valid until it is freed or unregistered, which forgets it here first.
            unsafe { mirror.hold().arrive(number, &fetched) };
        })
}

/// The program gives page-locked memory at `start` up.
pub(super) fn forget_mirror(client: &'static Client, start: usize) {
    let Some(mirror) = client.mirrors.hold().remove(&start) else {
        return;
    };
    let mut mirror = mirror.hold();
    mirror.forget();
    // It is gone already where its context is.
    let _ = client.memory.hold().allocator.free(mirror.device);
}

/// A context is gone, and with it the copies in it.
pub(super) fn forget_mirrors_of(client: &'static Client, context: u32) {
    client.mirrors.hold().retain(|_, mirror| {
        let mut mirror = mirror.hold();
        let stays = mirror.context != context;
        if !stays {
            mirror.forget();
        }
        stays
    });
}
