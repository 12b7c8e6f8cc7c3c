//! The kernel: direct system calls, so that no libc, no interposer and no `errno` comes between.
//! Every call returns `None` on any error, except where the caller decides by it.

use core::ffi::CStr;
use core::time::Duration;
use libc::c_long;

/// One system call; the kernel's answer, `-errno` on failure.
///
/// # Safety
/// The arguments must be what call `number` expects; memory it writes to must be valid for that.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn call(number: c_long, a: usize, b: usize, c: usize, d: usize, e: usize, f: usize) -> isize {
    let answer: isize;
    // SAFETY: the kernel's calling convention (syscall(2)): rcx and r11 are clobbered, nothing else.
    unsafe {
        core::arch::asm!("syscall", inlateout("rax") number as isize => answer, in("rdi") a, in("rsi") b, in("rdx") c,
            in("r10") d, in("r8") e, in("r9") f, lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    answer
}

/// One system call; the kernel's answer, `-errno` on failure.
///
/// # Safety
/// The arguments must be what call `number` expects; memory it writes to must be valid for that.
#[cfg(target_arch = "aarch64")]
#[inline(always)]
unsafe fn call(number: c_long, a: usize, b: usize, c: usize, d: usize, e: usize, f: usize) -> isize {
    let answer: isize;
    // SAFETY: the kernel's calling convention (syscall(2)): only x0 changes.
    unsafe {
        core::arch::asm!("svc 0", in("x8") number, inlateout("x0") a as isize => answer, in("x1") b, in("x2") c,
            in("x3") d, in("x4") e, in("x5") f, options(nostack));
    }
    answer
}

fn positive(answer: isize) -> Option<usize> {
    usize::try_from(answer).ok()
}

/// An open descriptor, never 0 to 2: a program that runs with those closed must not write into ours.
pub struct Descriptor(usize);

impl Descriptor {
    fn from(answer: isize) -> Result<Self, i32> {
        match positive(answer) {
            None => Err(answer.unsigned_abs() as i32),
            Some(low @ 0..=2) => {
                let low = Descriptor(low);
                // SAFETY: fcntl(2) on a descriptor that is ours.
                let high = unsafe { call(libc::SYS_fcntl, low.0, libc::F_DUPFD_CLOEXEC as usize, 3, 0, 0, 0) };
                positive(high).map(Descriptor).ok_or(libc::EMFILE)
            }
            Some(number) => Ok(Descriptor(number)),
        }
    }

    /// Opens `path`; close-on-exec, never blocking (a FIFO!), never a controlling terminal.
    pub fn open(path: &CStr, flags: i32, mode: u32) -> Option<Self> {
        let flags = flags | libc::O_CLOEXEC | libc::O_NONBLOCK | libc::O_NOCTTY;
        let (here, path) = (libc::AT_FDCWD as usize, path.as_ptr() as usize);
        // SAFETY: openat(2) with a NUL-terminated path.
        let answer = unsafe { call(libc::SYS_openat, here, path, flags as usize, mode as usize, 0, 0) };
        Descriptor::from(answer).ok()
    }

    /// A datagram socket; the error is what decides whether another server is worth a try.
    pub fn datagram_socket(family: i32) -> Result<Self, i32> {
        let kind = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        // SAFETY: socket(2) touches no memory.
        Descriptor::from(unsafe { call(libc::SYS_socket, family as usize, kind as usize, 0, 0, 0, 0) })
    }

    /// Sends one datagram to `address`, without waiting and without SIGPIPE.
    pub fn send_to(&self, message: &[u8], address: &[u8]) -> Result<(), i32> {
        let flags = (libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) as usize;
        let (text, length) = (message.as_ptr() as usize, message.len());
        let (to, size) = (address.as_ptr() as usize, address.len());
        // SAFETY: sendto(2) reads the two slices within their bounds.
        let answer = unsafe { call(libc::SYS_sendto, self.0, text, length, flags, to, size) };
        if answer < 0 { Err(answer.unsigned_abs() as i32) } else { Ok(()) }
    }

    /// ioctl(2)
    ///
    /// # Safety
    /// `argument` must be what `request` reads and writes.
    pub unsafe fn control(&self, request: usize, argument: *mut core::ffi::c_void) -> Result<(), i32> {
        // SAFETY: the caller vouches for the argument.
        let answer = unsafe { call(libc::SYS_ioctl, self.0, request, argument as usize, 0, 0, 0) };
        if answer < 0 { Err(answer.unsigned_abs() as i32) } else { Ok(()) }
    }

    /// Reads once into `buffer`; what was read.
    pub fn read<'b>(&self, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        let (to, size) = (buffer.as_mut_ptr() as usize, buffer.len());
        // SAFETY: read(2) writes within `buffer`.
        let count = positive(unsafe { call(libc::SYS_read, self.0, to, size, 0, 0, 0) })?;
        buffer.get(..count)
    }

    /// Itself, if it is a regular file: writing to a pipe can bring SIGPIPE.
    pub fn into_regular(self) -> Option<Self> {
        let mut status = core::mem::MaybeUninit::<libc::stat>::zeroed();
        // SAFETY: fstat(2) writes a `struct stat`.
        let answer = unsafe { call(libc::SYS_fstat, self.0, status.as_mut_ptr() as usize, 0, 0, 0, 0) };
        // SAFETY: zero bytes, or what the kernel wrote, are a `struct stat`.
        let status = unsafe { status.assume_init() };
        (answer == 0 && status.st_mode & libc::S_IFMT == libc::S_IFREG).then_some(self)
    }

    /// Writes `line` and a line feed in one go; a short write is not repaired.
    pub fn write_line(&self, line: &[u8]) -> Option<usize> {
        let parts = [line, b"\n"].map(|part| [part.as_ptr() as usize, part.len()]);
        // SAFETY: writev(2) reads two `struct iovec`, and within the bounds they give.
        positive(unsafe { call(libc::SYS_writev, self.0, parts.as_ptr() as usize, parts.len(), 0, 0, 0) })
    }

    /// Reads directory entries (`struct linux_dirent64`, getdents64(2)) once.
    pub fn read_directory<'b>(&self, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        let (to, size) = (buffer.as_mut_ptr() as usize, buffer.len());
        // SAFETY: getdents64(2) writes within `buffer`.
        let count = positive(unsafe { call(libc::SYS_getdents64, self.0, to, size, 0, 0, 0) })?;
        buffer.get(..count)
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        // SAFETY: close(2) of a descriptor that is ours and not used again.
        unsafe { call(libc::SYS_close, self.0, 0, 0, 0, 0, 0) };
    }
}

/// The beginning of a file, as much as one read gives.
pub fn read_file<'b>(path: &CStr, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
    Descriptor::open(path, libc::O_RDONLY, 0)?.read(buffer)
}

/// The target of a symbolic link.
pub fn read_link<'b>(path: &CStr, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
    let (here, path) = (libc::AT_FDCWD as usize, path.as_ptr() as usize);
    let (to, size) = (buffer.as_mut_ptr() as usize, buffer.len());
    // SAFETY: readlinkat(2) with a NUL-terminated path writes within `buffer`.
    let count = positive(unsafe { call(libc::SYS_readlinkat, here, path, to, size, 0, 0) })?;
    buffer.get(..count)
}

/// Whether something of that name is there.
pub fn exists(path: &CStr) -> bool {
    // SAFETY: faccessat(2) with a NUL-terminated path; mode 0 is F_OK.
    unsafe { call(libc::SYS_faccessat, libc::AT_FDCWD as usize, path.as_ptr() as usize, 0, 0, 0, 0) == 0 }
}

/// unlink(2)
pub fn unlink(path: &CStr) {
    // SAFETY: unlinkat(2) with a NUL-terminated path.
    unsafe { call(libc::SYS_unlinkat, libc::AT_FDCWD as usize, path.as_ptr() as usize, 0, 0, 0, 0) };
}

/// rename(2); whether it was done.
pub fn rename(from: &CStr, to: &CStr) -> bool {
    let here = libc::AT_FDCWD as usize;
    // SAFETY: renameat2(2) with NUL-terminated paths.
    unsafe { call(libc::SYS_renameat2, here, from.as_ptr() as usize, here, to.as_ptr() as usize, 0, 0) == 0 }
}

/// getpid(2)
pub fn pid() -> u32 {
    // SAFETY: takes nothing, never fails.
    unsafe { call(libc::SYS_getpid, 0, 0, 0, 0, 0, 0) as u32 }
}

/// getppid(2)
pub fn parent_pid() -> u32 {
    // SAFETY: takes nothing, never fails.
    unsafe { call(libc::SYS_getppid, 0, 0, 0, 0, 0, 0) as u32 }
}

/// getuid(2)
pub fn uid() -> u32 {
    // SAFETY: takes nothing, never fails.
    unsafe { call(libc::SYS_getuid, 0, 0, 0, 0, 0, 0) as u32 }
}

/// getgid(2)
pub fn gid() -> u32 {
    // SAFETY: takes nothing, never fails.
    unsafe { call(libc::SYS_getgid, 0, 0, 0, 0, 0, 0) as u32 }
}

/// getgroups(2): as many as fit, none if they do not.
pub fn groups(space: &mut [u32]) -> &[u32] {
    // SAFETY: writes at most `space.len()` numbers of 32 bits.
    let answer = unsafe { call(libc::SYS_getgroups, space.len(), space.as_mut_ptr() as usize, 0, 0, 0, 0) };
    positive(answer).and_then(|count| space.get(..count)).unwrap_or_default()
}

/// The `nodename` of uname(2).
pub fn node_name(space: &mut [u8; 65]) -> Option<&[u8]> {
    // `struct new_utsname` (linux/utsname.h): six texts of 65 bytes.
    let mut names = [[0_u8; 65]; 6];
    // SAFETY: uname(2) writes the six texts.
    positive(unsafe { call(libc::SYS_uname, names.as_mut_ptr() as usize, 0, 0, 0, 0, 0) })?;
    let [_, node, ..] = names;
    *space = node;
    CStr::from_bytes_until_nul(space).ok().map(CStr::to_bytes)
}

/// A clock, as time since its beginning.
pub fn clock(clock: libc::clockid_t) -> Duration {
    let mut time = [0_i64; 2];
    // SAFETY: clock_gettime(2) writes two 64-bit words (`struct timespec` on 64-bit machines).
    unsafe { call(libc::SYS_clock_gettime, clock as usize, time.as_mut_ptr() as usize, 0, 0, 0, 0) };
    let [seconds, nanoseconds] = time;
    Duration::from_secs(seconds.max(0) as u64).saturating_add(Duration::from_nanos(nanoseconds.max(0) as u64))
}

/// Random bytes from the kernel, which no seed of the program's depends on. Never waits (early boot).
pub fn random() -> Option<u128> {
    let mut bytes = [0; 16];
    let (to, size) = (bytes.as_mut_ptr() as usize, bytes.len());
    // SAFETY: getrandom(2) writes within `bytes`.
    let count = positive(unsafe { call(libc::SYS_getrandom, to, size, libc::GRND_NONBLOCK as usize, 0, 0, 0) })?;
    (count == size).then_some(u128::from_le_bytes(bytes))
}

/// What the process has let be forbidden to it: its seccomp mode (0 none, 2 a filter) and whether it gave up new
/// privileges, without which nobody but root may add a filter (seccomp(2)). `None` when even to ask is forbidden.
pub fn restrictions() -> Option<(usize, usize)> {
    // SAFETY: PR_GET_SECCOMP touches no memory.
    let mode = positive(unsafe { call(libc::SYS_prctl, libc::PR_GET_SECCOMP as usize, 0, 0, 0, 0, 0) })?;
    // SAFETY: PR_GET_NO_NEW_PRIVS touches no memory.
    let bit = positive(unsafe { call(libc::SYS_prctl, libc::PR_GET_NO_NEW_PRIVS as usize, 0, 0, 0, 0, 0) })?;
    Some((mode, bit))
}

/// Whether files may grow without bound: else a write can bring SIGXFSZ (setrlimit(2)).
pub fn file_size_is_unlimited() -> bool {
    let mut limit = [0_u64; 2];
    let (resource, place) = (libc::RLIMIT_FSIZE as usize, limit.as_mut_ptr() as usize);
    // SAFETY: prlimit64(2) of this process writes two 64-bit words.
    let answer = unsafe { call(libc::SYS_prlimit64, 0, resource, 0, place, 0, 0) };
    answer == 0 && limit[0] == libc::RLIM_INFINITY
}

/// sched_yield(2).
pub fn give_way() {
    // SAFETY: takes nothing, never fails.
    unsafe { call(libc::SYS_sched_yield, 0, 0, 0, 0, 0, 0) };
}

/// Makes pages readable and writable.
///
/// # Safety
/// `[start, start + length)` must be whole pages that nobody else relies on being read-only.
pub unsafe fn make_writable(start: usize, length: usize) -> Option<()> {
    let protection = (libc::PROT_READ | libc::PROT_WRITE) as usize;
    // SAFETY: the caller vouches for the range.
    positive(unsafe { call(libc::SYS_mprotect, start, length, protection, 0, 0, 0) }).map(|_| ())
}

/// What fstatat(2) says of a path.
fn status(path: &CStr) -> Option<libc::stat> {
    let (here, path) = (libc::AT_FDCWD as usize, path.as_ptr() as usize);
    let mut status = core::mem::MaybeUninit::<libc::stat>::zeroed();
    // SAFETY: fstatat(2) with a NUL-terminated path writes a `struct stat`.
    positive(unsafe { call(libc::SYS_newfstatat, here, path, status.as_mut_ptr() as usize, 0, 0, 0) })?;
    // SAFETY: what the kernel wrote is a `struct stat`.
    Some(unsafe { status.assume_init() })
}

/// Whose file it is, as this user namespace calls them.
pub fn owner(path: &CStr) -> Option<u32> {
    status(path).map(|status| status.st_uid)
}

/// Whether a file is there, regular, and may be executed.
pub fn can_execute(path: &CStr) -> bool {
    let is_regular = status(path).is_some_and(|status| status.st_mode & libc::S_IFMT == libc::S_IFREG);
    let (here, path) = (libc::AT_FDCWD as usize, path.as_ptr() as usize);
    // SAFETY: faccessat(2) with a NUL-terminated path.
    is_regular && unsafe { call(libc::SYS_faccessat, here, path, libc::X_OK as usize, 0, 0, 0) == 0 }
}

/// exit_group(2)
pub fn exit_group(status: i32) -> ! {
    loop {
        // SAFETY: ends the process.
        unsafe { call(libc::SYS_exit_group, status as usize, 0, 0, 0, 0, 0) };
    }
}

/// What is called when a signal comes (`SA_SIGINFO`).
pub type Handler = unsafe extern "C" fn(i32, *mut core::ffi::c_void, *mut core::ffi::c_void);

/// `struct sigaction` of the kernel (asm/signal.h), which is not libc's.
#[repr(C)]
pub struct Action {
    handler: usize,
    flags: usize,
    restorer: usize,
    mask: u64,
}

/// `SA_RESTORER` (asm/signal.h): the kernel returns from a handler through it. x86_64 has no other way.
const RESTORER: usize = 0x0400_0000;
/// Bytes of the kernel's set of signals.
const SET: usize = 8;

impl Action {
    /// Calls `handler`, with the signals of `mask` blocked.
    pub fn new(handler: Handler, flags: usize, mask: u64) -> Self {
        Action {
            handler: handler as usize,
            flags: flags | RESTORER,
            restorer: return_from_handler as *const () as usize,
            mask,
        }
    }

    /// Whether `handler` is called.
    pub fn calls(&self, handler: Handler) -> bool {
        self.handler == handler as usize
    }

    /// `SIG_DFL`.
    pub fn is_default(&self) -> bool {
        self.handler == libc::SIG_DFL
    }
}

/// rt_sigreturn(2)
#[unsafe(naked)]
unsafe extern "C" fn return_from_handler() {
    #[cfg(target_arch = "x86_64")]
    core::arch::naked_asm!("mov eax, {}", "syscall", const libc::SYS_rt_sigreturn);
    #[cfg(target_arch = "aarch64")]
    core::arch::naked_asm!("mov x8, {}", "svc 0", const libc::SYS_rt_sigreturn);
}

/// What is done at a signal.
pub fn action(number: i32) -> Option<Action> {
    let mut action = Action { handler: 0, flags: 0, restorer: 0, mask: 0 };
    let place = (&raw mut action) as usize;
    // SAFETY: rt_sigaction(2) writes a `struct sigaction` of the kernel's.
    positive(unsafe { call(libc::SYS_rt_sigaction, number as usize, 0, place, SET, 0, 0) }).map(|_| action)
}

/// Has it done.
pub fn set_action(number: i32, action: Action) {
    let place = (&raw const action) as usize;
    // SAFETY: rt_sigaction(2) reads a `struct sigaction` of the kernel's; its handler is one, or was there before.
    unsafe { call(libc::SYS_rt_sigaction, number as usize, place, 0, SET, 0, 0) };
}

/// Has the default done.
pub fn default_action(number: i32) {
    set_action(number, Action { handler: libc::SIG_DFL, flags: 0, restorer: 0, mask: 0 });
}

/// Whether this thread blocks any signal, as it does in most handlers.
pub fn is_any_signal_blocked() -> bool {
    let mut mask = !0_u64;
    let place = (&raw mut mask) as usize;
    // SAFETY: rt_sigprocmask(2) writes a set of signals.
    unsafe { call(libc::SYS_rt_sigprocmask, libc::SIG_BLOCK as usize, 0, place, SET, 0, 0) };
    mask != 0
}

/// Lets a signal through to this thread.
pub fn unblock(number: i32) {
    let mask = 1_u64 << (number.wrapping_sub(1) & 63);
    let place = (&raw const mask) as usize;
    // SAFETY: rt_sigprocmask(2) reads a set of signals.
    unsafe { call(libc::SYS_rt_sigprocmask, libc::SIG_UNBLOCK as usize, place, 0, SET, 0, 0) };
}

fn thread() -> usize {
    // SAFETY: takes nothing, never fails.
    unsafe { call(libc::SYS_gettid, 0, 0, 0, 0, 0, 0) as usize }
}

/// Sends a signal to this thread.
pub fn raise(number: i32) {
    // SAFETY: tgkill(2) touches no memory.
    let answer = unsafe { call(libc::SYS_tgkill, pid() as usize, thread(), number as usize, 0, 0, 0) };
    if answer != 0 {
        // A filter may forbid to ask for the thread's number, or to use it.
        // SAFETY: kill(2) touches no memory.
        unsafe { call(libc::SYS_kill, pid() as usize, number as usize, 0, 0, 0, 0) };
    }
}

/// Sends a signal to this thread as it came, with its `siginfo_t`.
pub fn raise_again(number: i32, info: *mut core::ffi::c_void) {
    // SAFETY: rt_tgsigqueueinfo(2) reads the `siginfo_t` that the kernel gave to a handler.
    let answer =
        unsafe { call(libc::SYS_rt_tgsigqueueinfo, pid() as usize, thread(), number as usize, info as usize, 0, 0) };
    if answer != 0 {
        raise(number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_says_what_std_says() {
        assert_eq!(pid(), std::process::id());
        let mut buffer = [0; 4096];
        let link = read_link(c"/proc/self/exe", &mut buffer).unwrap();
        assert_eq!(link, std::env::current_exe().unwrap().as_os_str().as_encoded_bytes());
        assert!(exists(c"/proc/self/exe"));
        assert!(!exists(c"/proc/self/no such thing"));
        assert!(read_file(c"/proc/self/stat", &mut buffer).unwrap().starts_with(pid().to_string().as_bytes()));
        assert_ne!(random(), random());
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        assert!(clock(libc::CLOCK_REALTIME).abs_diff(now) < Duration::from_secs(60));
    }
}
