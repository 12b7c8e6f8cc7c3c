//! What one thread at a time may use, without a lock: who finds it in use tries again for a while and goes away.

use crate::sys;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;

/// Whose turn it is: [`NOBODYS_YET`], [`FREE`], or the thread that has it, as a number.
pub struct Turn(AtomicUsize);

/// Zero, as in the library's file: nobody may have it, and it lies in memory that cannot be written to yet.
const NOBODYS_YET: usize = 0;
/// No thread's number, because those are aligned addresses.
const FREE: usize = 1;

/// How long somebody tries. Whoever has it needs less than a millisecond, but may have lost its processor, and gets it
/// back when others have had theirs: some milliseconds for each (sched(7)).
const PATIENCE: Duration = Duration::from_millis(100);
/// How often it is tried at most, should the clock stand still.
const TRIES: u32 = 100_000;

impl Turn {
    /// Whether nobody could have it yet.
    pub fn is_nobodys_yet(&self) -> bool {
        self.0.load(Ordering::Acquire) == NOBODYS_YET
    }

    /// Takes it for the first time, in memory that can be written to by now.
    pub fn begin(&self) -> bool {
        self.take_where(NOBODYS_YET)
    }

    /// Takes it if it is free.
    pub fn take(&self) -> bool {
        // A failed exchange writes too, and would fault where nobody can have it yet: look first.
        self.0.load(Ordering::Acquire) == FREE && self.take_where(FREE)
    }

    /// Takes it from a thread that is about to give it back. Not from this one, which a signal has interrupted or which
    /// Python code runs in: it would wait for itself.
    pub fn take_soon(&self) -> bool {
        if self.take() {
            return true;
        }
        let now = || sys::clock(libc::CLOCK_MONOTONIC);
        let begin = now();
        (0..TRIES)
            .take_while(|_| ![NOBODYS_YET, this_thread()].contains(&self.0.load(Ordering::Acquire)))
            .take_while(|_| now().saturating_sub(begin) < PATIENCE)
            .any(|_| {
                sys::give_way();
                self.take()
            })
    }

    /// Takes it from whoever had it when this process was forked, and is not here.
    pub fn inherit(&self) {
        self.0.store(this_thread(), Ordering::Release);
    }

    /// Gives it back, or lets it be taken for the first time.
    pub fn give_back(&self) {
        self.0.store(FREE, Ordering::Release);
    }

    fn take_where(&self, was: usize) -> bool {
        self.0.compare_exchange(was, this_thread(), Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

/// A number that no other thread has: the address of what libc keeps of this one, as `errno`. (In System V's ABI its
/// first word is its own address: ELF Handling For Thread-Local Storage, 3.4.6.)
fn this_thread() -> usize {
    let thread: usize;
    // SAFETY: reads what every libc sets up before a thread runs any code of the program's.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        core::arch::asm!("mov {}, fs:[0]", out(reg) thread, options(nostack, readonly, preserves_flags));
    }
    // SAFETY: reads a register.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        core::arch::asm!("mrs {}, tpidr_el0", out(reg) thread, options(nostack, nomem, preserves_flags));
    }
    thread
}
