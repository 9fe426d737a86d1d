//! A queue pair of one half of a connection, its completions, and how to wait for them.
//!
//! A half belongs to one thread at a time, and so does its queue. Waiting polls for a short time and then sleeps in
//! `poll` until the device says that there are completions, or until the socket beside says that the peer is gone. The
//! device is asked to say so before the last look, so that no completion is slept through.

use std::io;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::card::Peer;
use super::device::{Device, Port};
use super::life::Life;
use super::sys;
use super::sys::bindings::*;

/// Polls before it sleeps: an interrupt and a wake-up cost about as much.
const SPIN: Duration = Duration::from_micros(20);
/// Completions taken at a time.
const BATCH: usize = 16;

/// Time until a packet without an answer is sent again: 4.096 µs × 2^this, 134 ms.
const TIMEOUT: u8 = 15;
/// So often, then the connection is broken.
const RETRIES: u8 = 7;
/// Flow control leaves no message without a buffer; one that has none all the same breaks the connection.
const RECEIVER_NOT_READY_RETRIES: u8 = 0;

/// A queue pair and its completions.
pub(super) struct Queue {
    pair: *mut ibv_qp,
    completions: *mut ibv_cq,
    channel: *mut ibv_comp_channel,
    device: Arc<Device>,
    taken: Vec<ibv_wc>,
    inline: usize,
}

// SAFETY: the objects of verbs may be used from any thread, and each queue is used by one at a time (`&mut`).
unsafe impl Send for Queue {}

/// A finished request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Completion {
    /// The number it was posted with.
    pub(super) id: u64,
    /// What it was, of this side or of the peer.
    pub(super) kind: Kind,
    /// Bytes received.
    pub(super) len: usize,
}

/// What finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A request of this side.
    Sent,
    /// A message, with the number that came with it.
    Received(Option<u32>),
    /// The peer has written to this side's memory, with a number.
    Written(u32),
}

/// How a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Woken {
    /// There is a completion.
    Completion,
    /// The socket beside has ended.
    Ended,
    /// The time is over.
    Late,
}

impl Queue {
    /// A queue pair with room for `sends` and `receives` requests.
    pub(super) fn new(device: &Arc<Device>, sends: usize, receives: usize) -> io::Result<Self> {
        let verbs = device.verbs;
        let mut queue = Self {
            pair: std::ptr::null_mut(),
            completions: std::ptr::null_mut(),
            channel: std::ptr::null_mut(),
            device: Arc::clone(device),
            taken: Vec::with_capacity(BATCH),
            inline: 0,
        };
        // SAFETY: the device is open; what is made is destroyed in the reverse order, also after a failure.
        unsafe {
            let channel = verbs.ibv_create_comp_channel(device.context());
            queue.channel = sys::made("no completion channel", channel)?;
            set_nonblocking((*queue.channel).fd)?;
            let completions = verbs.ibv_create_cq(
                device.context(),
                (sends + receives) as i32,
                std::ptr::null_mut(),
                queue.channel,
                0,
            );
            queue.completions = sys::made("no completion queue", completions)?;
            // Zero is a value of every field: numbers and pointers.
            let mut wish: ibv_qp_init_attr = std::mem::zeroed();
            wish.send_cq = queue.completions;
            wish.recv_cq = queue.completions;
            wish.qp_type = IBV_QPT_RC;
            wish.sq_sig_all = 1;
            wish.cap.max_send_wr = sends as u32;
            wish.cap.max_recv_wr = receives as u32;
            wish.cap.max_send_sge = 1;
            wish.cap.max_recv_sge = 1;
            wish.cap.max_inline_data = INLINE;
            let mut pair = verbs.ibv_create_qp(device.domain(), &raw mut wish);
            if pair.is_null() {
                // A device that has no room for data in its requests.
                wish.cap.max_inline_data = 0;
                pair = verbs.ibv_create_qp(device.domain(), &raw mut wish);
            }
            queue.pair = sys::made("no queue pair", pair)?;
            queue.inline = wish.cap.max_inline_data as usize;
        }
        Ok(queue)
    }

    /// Its number, for the peer.
    pub(super) fn number(&self) -> u32 {
        // SAFETY: the queue pair lives.
        unsafe { (*self.pair).qp_num }
    }

    /// Descriptor of the completion channel.
    pub(super) fn descriptor(&self) -> RawFd {
        // SAFETY: the channel lives.
        unsafe { (*self.channel).fd }
    }

    /// Makes the queue pair take receive requests. `remote` lets the peer write to memory that was registered for it.
    pub(super) fn prepare(&mut self, port: &Port, remote: bool) -> io::Result<()> {
        let mut wish = attributes(IBV_QPS_INIT);
        wish.port_num = port.number;
        wish.qp_access_flags = if remote { IBV_ACCESS_REMOTE_WRITE } else { 0 };
        self.modify(
            &mut wish,
            IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS,
        )
    }

    /// Connects the queue pair to one of the peer's, whose packets begin at `start`; this side's begin at `own`.
    pub(super) fn connect(
        &mut self,
        port: &Port,
        peer: &Peer,
        to: (u32, u32),
        own: u32,
    ) -> io::Result<()> {
        let mut wish = attributes(IBV_QPS_RTR);
        wish.path_mtu = port.mtu.min(peer.mtu);
        (wish.dest_qp_num, wish.rq_psn) = to;
        wish.min_rnr_timer = 12;
        wish.ah_attr.is_global = 1;
        wish.ah_attr.port_num = port.number;
        wish.ah_attr.dlid = peer.lid;
        wish.ah_attr.grh.dgid = ibv_gid { raw: peer.gid };
        wish.ah_attr.grh.sgid_index = port.gid_index;
        wish.ah_attr.grh.hop_limit = 64;
        self.modify(
            &mut wish,
            IBV_QP_STATE
                | IBV_QP_AV
                | IBV_QP_PATH_MTU
                | IBV_QP_DEST_QPN
                | IBV_QP_RQ_PSN
                | IBV_QP_MAX_DEST_RD_ATOMIC
                | IBV_QP_MIN_RNR_TIMER,
        )?;
        let mut wish = attributes(IBV_QPS_RTS);
        wish.sq_psn = own;
        wish.timeout = TIMEOUT;
        wish.retry_cnt = RETRIES;
        wish.rnr_retry = RECEIVER_NOT_READY_RETRIES;
        self.modify(
            &mut wish,
            IBV_QP_STATE
                | IBV_QP_SQ_PSN
                | IBV_QP_TIMEOUT
                | IBV_QP_RETRY_CNT
                | IBV_QP_RNR_RETRY
                | IBV_QP_MAX_QP_RD_ATOMIC,
        )
    }

    fn modify(&mut self, wish: &mut ibv_qp_attr, mask: u32) -> io::Result<()> {
        // SAFETY: the queue pair lives; `wish` holds what `mask` says.
        let error = unsafe {
            self.device
                .verbs
                .ibv_modify_qp(self.pair, wish, mask as i32)
        };
        sys::check("cannot connect the queue pair", error)
    }

    /// Gives the device a place for a message of the peer's; none takes messages without bytes.
    pub(super) fn receive(&mut self, id: u64, place: Option<ibv_sge>) -> io::Result<()> {
        let mut place = place;
        let mut request = ibv_recv_wr {
            wr_id: id,
            next: std::ptr::null_mut(),
            sg_list: place.as_mut().map_or(std::ptr::null_mut(), |place| place),
            num_sge: i32::from(place.is_some()),
        };
        // SAFETY: the queue pair lives; the place lies in a region that outlives it, and nobody reads it before completion.
        let error = unsafe { sys::post_recv(self.pair, &mut request) };
        sys::check("cannot post a receive request", error)
    }

    /// Sends a message of the bytes at `part`, or only a number.
    pub(super) fn send(
        &mut self,
        id: u64,
        part: Option<ibv_sge>,
        number: Option<u32>,
    ) -> io::Result<()> {
        let mut request = request(id);
        request.opcode = IBV_WR_SEND;
        self.numbered(&mut request, number, IBV_WR_SEND_WITH_IMM);
        self.post(request, part)
    }

    /// Writes the bytes at `part` to the peer's memory and tells it `number`.
    pub(super) fn write(
        &mut self,
        id: u64,
        part: ibv_sge,
        (address, key): (u64, u32),
        number: u32,
    ) -> io::Result<()> {
        let mut request = request(id);
        self.numbered(&mut request, Some(number), IBV_WR_RDMA_WRITE_WITH_IMM);
        request.wr.rdma.remote_addr = address;
        request.wr.rdma.rkey = key;
        self.post(request, Some(part))
    }

    fn numbered(&self, request: &mut ibv_send_wr, number: Option<u32>, opcode: ibv_wr_opcode) {
        if let Some(number) = number {
            request.opcode = opcode;
            // Big-endian by definition.
            request.__bindgen_anon_1.imm_data = number.to_be();
        }
    }

    fn post(&mut self, mut request: ibv_send_wr, part: Option<ibv_sge>) -> io::Result<()> {
        let mut part = part;
        if let Some(part) = &mut part {
            if part.length as usize <= self.inline {
                request.send_flags |= IBV_SEND_INLINE;
            }
            request.sg_list = part;
            request.num_sge = 1;
        }
        // SAFETY: the queue pair lives; the part lies in a region that outlives it and is not written before completion.
        let error = unsafe { sys::post_send(self.pair, &mut request) };
        sys::check("cannot post a request", error)
    }

    /// The next completion, if there is one already. A request that failed is an error: the connection is broken.
    pub(super) fn next(&mut self) -> io::Result<Option<Completion>> {
        if !self.fill()? {
            return Ok(None);
        }
        let Some(completion) = self.taken.pop() else {
            return Ok(None);
        };
        if completion.status != IBV_WC_SUCCESS {
            return Err(broken(completion.status));
        }
        // SAFETY: this member is there where the flag says so, and any number is valid.
        let number = (completion.wc_flags & IBV_WC_WITH_IMM != 0)
            .then(|| u32::from_be(unsafe { completion.__bindgen_anon_1.imm_data }));
        let kind = match (completion.opcode, number) {
            (opcode, number) if opcode == IBV_WC_RECV => Kind::Received(number),
            (opcode, Some(number)) if opcode == IBV_WC_RECV_RDMA_WITH_IMM => Kind::Written(number),
            _ => Kind::Sent,
        };
        Ok(Some(Completion {
            id: completion.wr_id,
            kind,
            len: completion.byte_len as usize,
        }))
    }

    /// Whether there are completions, after taking some from the device where there were none. The first is the last in
    /// `taken`.
    fn fill(&mut self) -> io::Result<bool> {
        if !self.taken.is_empty() {
            return Ok(true);
        }
        // SAFETY: numbers only, for which zero is a value.
        let mut batch: [ibv_wc; BATCH] = unsafe { std::mem::zeroed() };
        // SAFETY: the queue lives, and `&mut` keeps others out.
        let count = unsafe { sys::poll_cq(self.completions, &mut batch) };
        let Ok(count) = usize::try_from(count) else {
            return Err(io::Error::other(
                "RDMA: the completion queue cannot be read",
            ));
        };
        self.taken.extend(batch[..count].iter().rev());
        Ok(count > 0)
    }

    /// Waits for a completion, or until `until`, or until the socket of `life` ends, where it is given.
    pub(super) fn wait(
        &mut self,
        life: Option<&Life>,
        until: Option<Instant>,
    ) -> io::Result<Woken> {
        if self.fill()? {
            return Ok(Woken::Completion);
        }
        let is_late = || until.is_some_and(|until| until <= Instant::now());
        let since = Instant::now();
        while since.elapsed() < SPIN && !is_late() {
            std::hint::spin_loop();
            if self.fill()? {
                return Ok(Woken::Completion);
            }
        }
        while !is_late() {
            // SAFETY: the queue lives.
            let error = unsafe { sys::req_notify_cq(self.completions) };
            sys::check("cannot ask for events", error)?;
            if self.fill()? {
                return Ok(Woken::Completion);
            }
            let fds = [Some(self.descriptor()), life.map(Life::descriptor)];
            let [event, ended] = readable(fds, until)?;
            if event {
                self.take_event();
            }
            // What came before the end is not lost.
            if self.fill()? {
                return Ok(Woken::Completion);
            }
            if ended {
                return Ok(Woken::Ended);
            }
        }
        Ok(Woken::Late)
    }

    fn take_event(&mut self) {
        let (mut queue, mut context) = (std::ptr::null_mut(), std::ptr::null_mut());
        // SAFETY: the channel lives and does not block; an event taken from it is of this queue, the only one, and is
        // acknowledged at once, so that destroying the queue does not wait for it.
        unsafe {
            let verbs = self.device.verbs;
            if verbs.ibv_get_cq_event(self.channel, &raw mut queue, &raw mut context) == 0 {
                verbs.ibv_ack_cq_events(queue, 1);
            }
        }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        let verbs = self.device.verbs;
        // SAFETY: each was made by `new`, and is destroyed once, before what it was made from.
        unsafe {
            if !self.pair.is_null() {
                verbs.ibv_destroy_qp(self.pair);
            }
            if !self.completions.is_null() {
                verbs.ibv_destroy_cq(self.completions);
            }
            if !self.channel.is_null() {
                verbs.ibv_destroy_comp_channel(self.channel);
            }
        }
    }
}

/// Bytes that a request may carry itself, where the device can: a frame of a small call.
const INLINE: u32 = 128;

/// All that a broken connection is to its user.
fn broken(status: ibv_wc_status) -> io::Error {
    io::Error::new(
        io::ErrorKind::BrokenPipe,
        format!("RDMA: the connection broke: {}", sys::status_name(status)),
    )
}

fn attributes(state: ibv_qp_state) -> ibv_qp_attr {
    // SAFETY: numbers only, for which zero is a value.
    let mut attributes: ibv_qp_attr = unsafe { std::mem::zeroed() };
    attributes.qp_state = state;
    attributes
}

fn request(id: u64) -> ibv_send_wr {
    // SAFETY: numbers and pointers, for which zero is a value.
    let mut request: ibv_send_wr = unsafe { std::mem::zeroed() };
    request.wr_id = id;
    request
}

fn set_nonblocking(fd: RawFd) -> io::Result<()> {
    // SAFETY: the descriptor is open, and only its flags change.
    let done = unsafe {
        let flags = libc::fcntl(fd, libc::F_GETFL);
        libc::fcntl(fd, libc::F_SETFL, flags | libc::O_NONBLOCK)
    };
    if done < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Sleeps until one of the descriptors has something to say, or until `until`; which have.
fn readable(fds: [Option<RawFd>; 2], until: Option<Instant>) -> io::Result<[bool; 2]> {
    let mut polls = fds.map(|fd| libc::pollfd {
        // A negative number is skipped.
        fd: fd.unwrap_or(-1),
        events: libc::POLLIN | libc::POLLRDHUP,
        revents: 0,
    });
    let millis = until.map_or(-1, |until| {
        let left = until.saturating_duration_since(Instant::now());
        i32::try_from(left.as_micros().div_ceil(1000)).unwrap_or(i32::MAX)
    });
    // SAFETY: as many live pollfds as is said.
    let count = unsafe { libc::poll(polls.as_mut_ptr(), polls.len() as _, millis) };
    if count < 0 {
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    Ok(polls.map(|poll| count > 0 && poll.revents != 0))
}
