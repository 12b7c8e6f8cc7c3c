//! The only bytes we ever write to, and the policy, the only ones we read. Both lie in the library's read-only
//! segment: in a process without Python there is no writable page of ours, and nothing to map for one. When a
//! Python was found, `unlock` makes the state writable, once.
//!
//! Access is in [turns](crate::turn): who finds the state taken goes away, at once or after a short while.

use crate::early::{Init, Inittab};
use crate::endings::atexit::{self, Methods};
use crate::errno::Location;
use crate::forks::Descent;
use crate::functions::{self, Function};
use crate::job::Claims;
use crate::libraries::SingleThreaded;
use crate::look::Paths;
use crate::process::Process;
use crate::python::{Api, Raw};
use crate::slots::Slots;
use crate::sys;
use crate::text::{Arena, Text};
use crate::turn::Turn;
use crate::user::User;
use core::cell::UnsafeCell;
use core::ffi::{c_int, c_void};
use core::mem::size_of;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use customs_spec::inspect::Inspector;
use customs_spec::policy::{self, Policy};

/// Bytes of the state, whole pages.
const REGION: usize = 163_840;
/// Bytes for what was found.
pub const FOUND: usize = Inspector::SPACE;
/// Bytes for versions, and for the names of unlisted modules.
pub const VERSIONS: usize = 16_384;
/// The longest message.
const MESSAGE: usize = 65_536;
/// See [`VERSIONS`].
pub const OTHERS: usize = 49_152;
/// Bytes of a stack of our own: what a report takes, twice.
const STACK: usize = 32_768;
/// The largest page of the machines we run on.
const PAGE: usize = if cfg!(target_arch = "x86_64") { 4096 } else { 65_536 };

core::arch::global_asm!(
    ".section .customs.policy,\"a\",@progbits",
    ".balign 64",
    ".hidden customs_policy",
    ".globl customs_policy",
    "customs_policy: .zero {capacity}",
    ".section .customs.state,\"a\",@progbits",
    ".balign {page}",
    ".hidden customs_state",
    ".globl customs_state",
    "customs_state: .zero {region}",
    ".hidden customs_stack",
    ".globl customs_stack",
    "customs_stack: .zero {stack}",
    ".text",
    capacity = const policy::CAPACITY,
    page = const PAGE,
    region = const REGION.next_multiple_of(PAGE),
    stack = const STACK.next_multiple_of(PAGE),
);

#[allow(improper_ctypes, reason = "made and read by this crate only; the assembler just keeps the place")]
unsafe extern "C" {
    static customs_policy: [u8; policy::CAPACITY];
    static customs_state: Shared;
    static customs_stack: [u8; STACK];
}

/// The policy that `customs compile` stamped into the library, if there is a whole one.
pub fn policy() -> Option<Policy<'static>> {
    // SAFETY: `CAPACITY` bytes that nobody writes.
    Policy::read(unsafe { &customs_policy }).ok()
}

/// The same policy, once the doors have verified it.
pub fn verified_policy() -> Policy<'static> {
    // SAFETY: as above.
    Policy::of_verified(unsafe { &customs_policy })
}

#[repr(C)]
struct Shared {
    /// Who works with the state. Until it is writable, nobody.
    access: Turn,
    /// Who works on our own stack.
    stack: Turn,
    /// The process that was armed. A child has another number.
    owner: AtomicU32,
    /// The initialisations that the early door wrapped. Beside the state, because the wrappers must always find them.
    original: AtomicUsize,
    original_signal: AtomicUsize,
    /// The functions of CPython's that ours stand before, and how they are called.
    functions: [Function; functions::COUNT],
    /// Calls of a function of `_imp`.
    calls: AtomicU32,
    /// The next definition of `_exit(2)`.
    next_exit: AtomicUsize,
    /// `Py_IncRef` and `None`, which a callback must return even when it cannot have the state.
    increment: AtomicUsize,
    none: AtomicUsize,
    /// What CPython reads on its own, at any time and in any thread: what it calls us by, the slots of one of its
    /// modules, and our table of built-in modules. Each is written once, before CPython learns of it.
    methods: UnsafeCell<Methods>,
    slots: [UnsafeCell<Slots>; 2],
    state: UnsafeCell<State>,
    inittab: UnsafeCell<Inittab>,
}

// SAFETY: `state` is reached through `take` only, one holder at a time; the three around it are written by one who
// holds the state, and only read from when CPython knows of them.
unsafe impl Sync for Shared {}

const _: () = assert!(size_of::<Shared>() <= REGION);

/// All that is remembered between the start of an interpreter and its end.
///
/// What nearly every process uses comes first and lies close together: the first write to each page has it copied.
#[repr(C)]
pub struct State {
    /// What is small.
    pub notes: Notes,
    /// Zero until it is used, as is all that follows: what was found by interpreters that are gone, and by this one.
    pub found: [u8; FOUND],
    /// What was seen on the way, and is reported where there is no last look.
    pub known: [u8; FOUND],
    /// Paths of the process.
    pub paths: Paths,
    /// For one message. It lies here because a mapping of its own would cost more than the report's own work.
    pub message: [u8; MESSAGE],
    /// What the parent had found when it forked this process.
    pub inherited: [u8; FOUND],
    /// Versions of what was found: check number (two bytes), then the text.
    pub versions: Arena<VERSIONS>,
    /// Top-level modules outside the standard library, where a list samples all.
    pub others: Arena<OTHERS>,
}

/// What is remembered of the process and its Python.
pub struct Notes {
    /// The API of the Python that was found.
    pub python: Option<Api>,
    /// Its version: libpython may be unloaded before the process ends.
    pub version: Text<32>,
    /// Whether the main interpreter that runs now will call us.
    pub armed: bool,
    /// What the environment said at the start.
    pub claims: Option<Claims>,
    /// How to reach `errno`.
    pub errno: Option<Location>,
    /// Where libc says whether there is one thread only.
    pub single_threaded: Option<SingleThreaded>,
    /// Process that was armed: a forked child has another number and stays silent.
    pub pid: u32,
    /// What was forbidden at the start.
    pub restrictions: Option<(usize, usize)>,
    /// What the kernel calls the process.
    pub process: Option<Process>,
    /// Who runs it.
    pub user: Option<User>,
    /// Whether our handlers of signals are installed.
    pub signals: bool,
    /// How often `imports` was called.
    pub imports: u32,
    /// How far into `sys.modules` it has looked.
    pub position: isize,
    /// The dict of `__main__`, only to tell it from another, and how far into it a glance has looked.
    pub main: usize,
    /// See `main`.
    pub bound: isize,
    /// Whether the black box holds a record of it.
    pub is_recorded: bool,
    /// Where it came from, if it was forked.
    pub descent: Option<Descent>,
    /// Who had it started, where `multiprocessing` spawned it.
    pub spawned_by: Option<u128>,
    /// For how many imports more it is watched whether that is so.
    pub watched: u32,
    /// Whether it is one of `multiprocessing`'s own processes, which are not reported.
    pub is_helper: bool,
    /// Number of the next report.
    pub sequence: u32,
    /// What the last report found, as a digest: the same is not reported again.
    pub reported: Option<u64>,
    /// How often the late door found that imports do not work yet.
    pub tries: u32,
}

impl Notes {
    /// Of no process yet.
    pub const NOTHING: Self = Notes {
        python: None,
        version: Text::EMPTY,
        armed: false,
        claims: None,
        errno: None,
        single_threaded: None,
        pid: 0,
        restrictions: None,
        process: None,
        user: None,
        signals: false,
        imports: 0,
        position: 0,
        main: 0,
        bound: 0,
        is_recorded: false,
        descent: None,
        spawned_by: None,
        watched: 0,
        is_helper: false,
        sequence: 0,
        reported: None,
        tries: 0,
    };
}

/// Makes the state writable. Until then `take` has nothing to give.
pub fn unlock() -> Option<()> {
    let start = &raw const customs_state as usize;
    // SAFETY: the region is page-aligned, whole pages long, and nothing else lies in it.
    let access = unsafe { &customs_state.access };
    if access.is_nobodys_yet() {
        // SAFETY: as above; from here on the region is ours to write.
        unsafe {
            sys::make_writable(start, REGION.next_multiple_of(PAGE).saturating_add(STACK.next_multiple_of(PAGE)))
        }?;
        if access.begin() {
            // SAFETY: mapped as long as the library is.
            let state = unsafe { &customs_state.state }.get();
            // SAFETY: a place inside of it.
            let notes = unsafe { &raw mut (*state).notes };
            // SAFETY: nobody else gets here, and nobody can take the state before it is free.
            unsafe { notes.write(Notes::NOTHING) };
            // SAFETY: as above, and no Python has heard of them yet.
            unsafe { methods().write(atexit::methods()) };
            // SAFETY: mapped as long as the library is, and writable by now.
            unsafe { &customs_state.stack }.give_back();
            access.give_back();
        }
    }
    Some(())
}

/// The place of our table of built-in modules.
pub fn inittab(_: &mut Guard) -> *mut Inittab {
    // SAFETY: mapped as long as the library is.
    unsafe { &customs_state.inittab }.get()
}

/// The place of our slots, for one of two modules.
pub fn slots<const MODULE: usize>(_: &mut Guard) -> *mut Slots {
    // SAFETY: mapped as long as the library is.
    let [posix, signal] = unsafe { &customs_state.slots };
    if MODULE == 0 { posix.get() } else { signal.get() }
}

/// The functions of CPython's that ours stand before. Written to only when the process is armed.
pub fn functions() -> &'static [Function; functions::COUNT] {
    // SAFETY: mapped as long as the library is, and atomics only.
    unsafe { &customs_state.functions }
}

/// Counts a call, which need not be exact: how many there were before.
pub fn count_up() -> u32 {
    // SAFETY: mapped as long as the library is; writable, since a function was replaced.
    let calls = unsafe { &customs_state.calls };
    let before = calls.load(Ordering::Relaxed);
    calls.store(before.wrapping_add(1), Ordering::Relaxed);
    before
}

/// `_exit(2)`.
pub type Leave = unsafe extern "C" fn(c_int) -> !;

/// Remembers the next `_exit(2)`, and whose process this is. Only while the state is held.
pub fn set_owner(pid: u32, next_exit: Option<*const c_void>) {
    let next = next_exit.map_or(0, |next| next as usize);
    // SAFETY: writable since `unlock`, which everyone who holds the state has called.
    unsafe { &customs_state.next_exit }.store(next, Ordering::Release);
    // SAFETY: as above.
    unsafe { &customs_state.owner }.store(pid, Ordering::Release);
}

/// Takes the state for a child that was forked from its owner, whose number comes with it. Whoever held it then is not
/// here.
pub fn adopt() -> Option<(Guard, u32)> {
    // SAFETY: mapped as long as the library is.
    let owner = unsafe { &customs_state.owner };
    let parent = owner.load(Ordering::Acquire);
    if matches!(parent, 0 | BEING_ADOPTED) || parent == sys::pid() {
        return None;
    }
    owner.compare_exchange(parent, BEING_ADOPTED, Ordering::AcqRel, Ordering::Acquire).ok()?;
    // SAFETY: as above; writable, since there is an owner.
    unsafe { &customs_state.access }.inherit();
    // SAFETY: as above.
    unsafe { &customs_state.stack }.give_back();
    Some((Guard(()), parent))
}

/// Whose the state is when it was adopted. Only while it is held.
pub fn set_owner_of_adopted(pid: u32) {
    // SAFETY: mapped as long as the library is, and writable, since there was an owner.
    unsafe { &customs_state.owner }.store(pid, Ordering::Release);
}

/// In place of a process's number.
const BEING_ADOPTED: u32 = u32::MAX;

/// Whether this is the process that was armed. Where none was, the kernel is not asked.
pub fn is_own() -> bool {
    // SAFETY: mapped as long as the library is, and only read.
    let owner = unsafe { &customs_state.owner }.load(Ordering::Acquire);
    owner != 0 && owner == sys::pid()
}

/// The next `_exit(2)`, once a process was armed.
pub fn next_exit() -> Option<Leave> {
    // SAFETY: mapped as long as the library is, and only read.
    let address = unsafe { &customs_state.next_exit }.load(Ordering::Acquire);
    // SAFETY: zero, which is `None`, or what `set_owner` stored.
    unsafe { core::mem::transmute::<usize, Option<Leave>>(address) }
}

/// What Python calls us by, written by `unlock`.
pub fn methods() -> *mut Methods {
    // SAFETY: mapped as long as the library is.
    unsafe { &customs_state.methods }.get()
}

/// Remembers what the early door wrapped. Only while the state is held.
pub fn set_original(init: Init) {
    // SAFETY: writable since `unlock`, which everyone who holds the state has called.
    unsafe { &customs_state.original }.store(init as usize, Ordering::Release);
}

/// Does `work` on a stack of our own, if nobody else is there: who ends a process, or is interrupted by a signal, may
/// have next to nothing left of its own. Only in the process that was armed.
pub fn on_own_stack<F: FnOnce()>(work: F) {
    extern "C" fn trampoline<F: FnOnce()>(work: *mut c_void) {
        // SAFETY: the `work` below, which waits for this call on the other stack.
        let work = unsafe { &mut *work.cast::<Option<F>>() };
        if let Some(work) = work.take() {
            work();
        }
    }
    // SAFETY: mapped as long as the library is, and writable, since the process was armed.
    let stack = unsafe { &customs_state.stack };
    if !stack.take_soon() {
        return;
    }
    let top = (&raw const customs_stack as usize).wrapping_add(STACK);
    let mut work = Some(work);
    // SAFETY: the end of a stack that is writable, aligned, and nobody else's.
    unsafe { call_on(top, trampoline::<F>, (&raw mut work).cast()) };
    stack.give_back();
}

/// Calls `work(argument)` with the stack that ends at `top`.
#[unsafe(naked)]
unsafe extern "C" fn call_on(top: usize, work: extern "C" fn(*mut c_void), argument: *mut c_void) {
    #[cfg(target_arch = "x86_64")]
    core::arch::naked_asm!(
        "push rbp",
        "mov rbp, rsp",
        "mov rsp, rdi",
        "mov rdi, rdx",
        "call rsi",
        "mov rsp, rbp",
        "pop rbp",
        "ret"
    );
    #[cfg(target_arch = "aarch64")]
    core::arch::naked_asm!(
        "stp x29, x30, [sp, #-16]!",
        "mov x29, sp",
        "mov sp, x0",
        "mov x0, x2",
        "blr x1",
        "mov sp, x29",
        "ldp x29, x30, [sp], #16",
        "ret"
    );
}

/// What the early door wrapped.
pub fn original() -> Option<Init> {
    // SAFETY: mapped as long as the library is, and only read.
    let address = unsafe { &customs_state.original }.load(Ordering::Acquire);
    // SAFETY: zero, which is `None`, or what `set_original` stored.
    unsafe { core::mem::transmute::<usize, Option<Init>>(address) }
}

/// The same for the module `_signal`.
pub fn set_original_signal(init: Init) {
    // SAFETY: writable since `unlock`, which everyone who holds the state has called.
    unsafe { &customs_state.original_signal }.store(init as usize, Ordering::Release);
}

/// What it wrapped of the module `_signal`.
pub fn original_signal() -> Option<Init> {
    // SAFETY: mapped as long as the library is, and only read.
    let address = unsafe { &customs_state.original_signal }.load(Ordering::Acquire);
    // SAFETY: zero, which is `None`, or what `set_original_signal` stored.
    unsafe { core::mem::transmute::<usize, Option<Init>>(address) }
}

/// Remembers how to make a reference to `None`. Only while the state is held.
pub fn set_none(api: &Api) {
    // SAFETY: writable since `unlock`, which everyone who holds the state has called.
    unsafe { &customs_state.increment }.store(api.increment as usize, Ordering::Release);
    // SAFETY: as above.
    unsafe { &customs_state.none }.store(api.none as usize, Ordering::Release);
}

/// A new reference to `None`; null before `set_none`, which comes before anything that Python could call.
pub fn new_none() -> Raw {
    // SAFETY: mapped as long as the library is, and only read.
    let increment = unsafe { &customs_state.increment }.load(Ordering::Acquire);
    // SAFETY: as above.
    let none = unsafe { &customs_state.none }.load(Ordering::Acquire) as Raw;
    // SAFETY: zero, which is `None`, or what `set_none` stored.
    let increment = unsafe { core::mem::transmute::<usize, Option<unsafe extern "C" fn(Raw)>>(increment) };
    if let Some(increment) = increment {
        // SAFETY: called back by Python, so the GIL is held.
        unsafe { increment(none) };
    }
    none
}

/// The state, while held.
pub struct Guard(());

/// Takes the state; `None` when it is still read-only or someone else has it.
pub fn take() -> Option<Guard> {
    // SAFETY: mapped as long as the library is.
    unsafe { &customs_state.access }.take().then_some(Guard(()))
}

/// Takes the state, if need be from an interpreter that is about to give it back: interpreters with a GIL each start and
/// end at the same time.
pub fn take_soon() -> Option<Guard> {
    // SAFETY: mapped as long as the library is.
    unsafe { &customs_state.access }.take_soon().then_some(Guard(()))
}

impl Deref for Guard {
    type Target = State;
    fn deref(&self) -> &State {
        // SAFETY: mapped for ever, and initialised: the notes by `unlock`, the rest by its zero bytes.
        let cell = unsafe { &customs_state.state };
        // SAFETY: a `Guard` is the only way here, and there is one at a time.
        unsafe { &*cell.get() }
    }
}

impl DerefMut for Guard {
    fn deref_mut(&mut self) -> &mut State {
        // SAFETY: mapped for ever, and initialised: the notes by `unlock`, the rest by its zero bytes.
        let cell = unsafe { &customs_state.state };
        // SAFETY: a `Guard` is the only way here, there is one at a time, and this one is borrowed mutably.
        unsafe { &mut *cell.get() }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // SAFETY: writable since `unlock`.
        unsafe { &customs_state.access }.give_back();
    }
}
