//! The two threads that do what no thread of the application is there to do: send posted calls that grow old,
//! and receive what nobody waits for. Each is started when it is first needed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::Session;
use crate::names::Hold;

/// How old a posted call may grow before it is sent.
const AGE: Duration = Duration::from_micros(200);

/// Rounds without anything to send after which the sending thread sleeps until it is woken.
const IDLE_ROUNDS: u32 = 20;

/// How long the application's threads may take to come and read by themselves.
const PATIENCE: Duration = Duration::from_millis(1);

/// A thread that sleeps until there is something to do.
#[derive(Debug, Default)]
struct Bell {
    rung: AtomicBool,
    started: AtomicBool,
    asleep: AtomicBool,
    lock: Mutex<()>,
    wake: Condvar,
}

impl Bell {
    /// Asks for the thread, and starts it with `body` the first time.
    ///
    /// What the thread is to look at was put under a lock that it takes after [`Self::heard`]: where this finds the
    /// bell rung, the thread will find that too.
    fn ring(&self, name: &str, body: impl FnOnce() + Send + 'static) {
        if self.rung.load(Ordering::Relaxed) {
            return;
        }
        if self.rung.swap(true, Ordering::SeqCst) {
            return;
        }
        if !self.started.swap(true, Ordering::SeqCst)
            && let Err(error) = crate::thread::spawn(name, body)
        {
            crate::log::debug(format_args!("cannot start the thread {name}: {error}"));
            self.started.store(false, Ordering::SeqCst);
            self.rung.store(false, Ordering::SeqCst);
        }
        // The sleeper says that it sleeps before it looks at `rung` for the last time.
        if self.asleep.load(Ordering::SeqCst) {
            let _guard = self.lock.hold();
            self.wake.notify_one();
        }
    }

    /// Whether somebody has rung since the last look.
    fn heard(&self) -> bool {
        self.rung.swap(false, Ordering::SeqCst)
    }

    /// Sleeps until somebody rings.
    fn sleep(&self) {
        let mut guard = self.lock.hold();
        self.asleep.store(true, Ordering::SeqCst);
        while !self.heard() {
            guard = self
                .wake
                .wait(guard)
                .unwrap_or_else(PoisonError::into_inner);
        }
        self.asleep.store(false, Ordering::SeqCst);
    }
}

/// Both threads.
#[derive(Debug, Default)]
pub(super) struct Helpers {
    sender: Bell,
    receiver: Bell,
}

impl Helpers {
    /// Something was buffered: it is sent before it is old.
    pub(super) fn flush_soon(&self, session: &'static Session) {
        self.sender.ring("rgpu-send", move || {
            while session.usable().is_ok() {
                session.helpers.sender.sleep();
                let mut idle = 0;
                while idle < IDLE_ROUNDS {
                    // A clock, not a wait for an event: calls are sent when they are this old.
                    std::thread::sleep(AGE);
                    idle = if session.helpers.sender.heard() {
                        0
                    } else {
                        idle + 1
                    };
                    // An error shows in the next call.
                    let _ = session.flush();
                }
            }
        });
    }

    /// Something will come that nobody waits for.
    pub(super) fn receive_soon(&self, session: &'static Session) {
        self.receiver.ring("rgpu-receive", move || {
            loop {
                session.helpers.receiver.sleep();
                if !session.read_what_is_due(PATIENCE) {
                    return;
                }
            }
        });
    }
}
