//! The loader: which objects are loaded and what they define. `dl_iterate_phdr` lists them, each object's own hash
//! table finds a symbol; so nothing is allocated, and objects opened `RTLD_LOCAL` are seen too, unlike with `dlsym`,
//! which allocates, is in another library before glibc 2.34, and deadlocks under an allocator that calls it.

use crate::text::is_text;
use core::ffi::{CStr, c_int, c_void};
use core::mem::size_of;
use core::ops::ControlFlow;

core::arch::global_asm!(".weak dl_iterate_phdr", ".weak PyImport_Inittab", ".weak __confstr_chk");

type Callback = unsafe extern "C" fn(*mut Info, usize, *mut c_void) -> c_int;

unsafe extern "C" {
    fn dl_iterate_phdr(callback: Callback, data: *mut c_void) -> c_int;
    static PyImport_Inittab: c_void;
    static __confstr_chk: c_void;
}

/// The beginning of `struct dl_phdr_info` (dl_iterate_phdr(3)), the same in glibc since 2.4 and in musl.
#[repr(C)]
struct Info {
    base: usize,
    name: *const libc::c_char,
    headers: *const Header,
    count: u16,
    adds: u64,
    subs: u64,
}

/// `Elf64_Phdr` (elf(5)).
#[repr(C)]
struct Header {
    kind: u32,
    flags: u32,
    offset: usize,
    address: usize,
    physical: usize,
    file_size: usize,
    size: usize,
    align: usize,
}

/// `Elf64_Sym` (elf(5)).
#[repr(C)]
struct Symbol {
    name: u32,
    info: u8,
    other: u8,
    section: u16,
    value: usize,
    size: usize,
}

/// What the loader resolved, or null. A static of addresses, read volatile, because LLVM knows that no symbol lies
/// at null and folds a plain test of a weak symbol's address to `false`.
#[repr(transparent)]
struct Weak([*const c_void; 3]);

// SAFETY: addresses that the loader wrote before any code of ours ran; nobody writes them again.
unsafe impl Sync for Weak {}

static WEAK: Weak = Weak([dl_iterate_phdr as *const c_void, &raw const PyImport_Inittab, &raw const __confstr_chk]);

fn weak<const INDEX: usize>() -> Option<*const c_void> {
    let place = (&raw const WEAK).cast::<*const c_void>().wrapping_add(INDEX);
    // SAFETY: `place` is inside `WEAK`: all uses below are less than 3.
    let address = unsafe { place.read_volatile() };
    (!address.is_null()).then_some(address)
}

/// The address of the program's variable `PyImport_Inittab`, if a Python is loaded in the global scope.
pub fn inittab() -> Option<*mut *mut c_void> {
    weak::<1>().map(|address| address.cast_mut().cast())
}

/// confstr(3) with the size of the buffer as a fourth argument.
pub type CheckedConfstr = unsafe extern "C" fn(c_int, *mut libc::c_char, usize, usize) -> usize;

/// glibc's own way to its `confstr` (`_FORTIFY_SOURCE`, since 2.4), which our `confstr` does not hide.
pub fn checked_confstr() -> Option<CheckedConfstr> {
    // SAFETY: of this type in every glibc that has it.
    weak::<2>().map(|address| unsafe { core::mem::transmute::<*const c_void, CheckedConfstr>(address) })
}

/// A loaded object.
#[derive(Clone, Copy)]
pub struct Object {
    base: usize,
    headers: *const Header,
    count: usize,
    name: *const libc::c_char,
    total: u64,
}

/// Calls `visit` for each loaded object, the program first and then in load order, until it breaks.
pub fn each(mut visit: impl FnMut(Object) -> ControlFlow<()>) {
    unsafe extern "C" fn trampoline<F: FnMut(Object) -> ControlFlow<()>>(
        info: *mut Info,
        _: usize,
        data: *mut c_void,
    ) -> c_int {
        // SAFETY: the loader passes a valid `struct dl_phdr_info`.
        let info = unsafe { &*info };
        // SAFETY: `data` is the `visit` below, which outlives the iteration and is not used elsewhere meanwhile.
        let visit = unsafe { &mut *data.cast::<F>() };
        let object = Object {
            base: info.base,
            headers: info.headers,
            count: usize::from(info.count),
            name: info.name,
            total: info.adds.wrapping_sub(info.subs),
        };
        c_int::from(visit(object).is_break())
    }
    fn with<F: FnMut(Object) -> ControlFlow<()>>(_: &F) -> Callback {
        trampoline::<F>
    }
    let Some(iterate) = weak::<0>() else { return };
    // SAFETY: the weak symbol is dl_iterate_phdr, of this type in every libc that has it.
    let iterate =
        unsafe { core::mem::transmute::<*const c_void, unsafe extern "C" fn(Callback, *mut c_void) -> c_int>(iterate) };
    let callback = with(&visit);
    // SAFETY: the callback gets back the `visit` it was made for.
    unsafe { iterate(callback, (&raw mut visit).cast()) };
}

/// The first object for which `choose` has an answer.
pub fn find<T>(mut choose: impl FnMut(Object) -> Option<T>) -> Option<T> {
    let mut answer = None;
    each(|object| {
        answer = choose(object);
        if answer.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    answer
}

/// The first definition of `name` in load order, as the loader itself would bind it.
pub fn symbol(name: &CStr) -> Option<*const c_void> {
    find(|object| object.symbol(name))
}

/// Whether an object at `address` is loaded still.
pub fn is_loaded(address: usize) -> bool {
    find(|object| object.contains(address).then_some(())).is_some()
}

/// The program itself, which is listed first.
pub fn program() -> Option<Object> {
    find(Some)
}

/// The definition of `name` that comes after the object that holds `here`: what `dlsym(RTLD_NEXT)` finds.
/// Where none comes after (musl may list its libc first), any other object's.
pub fn next_symbol(name: &CStr, here: usize) -> Option<*const c_void> {
    let mut passed = false;
    let next = find(|object| {
        if object.contains(here) {
            passed = true;
            return None;
        }
        if passed { object.symbol(name) } else { None }
    });
    next.or_else(|| find(|object| if object.contains(here) { None } else { object.symbol(name) }))
}

/// The numbers of a `DT_*` entry we look for (elf(5), and `DT_GNU_HASH` from binutils).
const DT_HASH: usize = 4;
const DT_STRTAB: usize = 5;
const DT_SYMTAB: usize = 6;
const DT_GNU_HASH: usize = 0x6fff_fef5;

impl Object {
    fn headers(&self) -> &[Header] {
        if self.headers.is_null() {
            return &[];
        }
        // SAFETY: the loader says where the program headers are and how many; they stay mapped with the object.
        unsafe { core::slice::from_raw_parts(self.headers, self.count) }
    }

    /// The path that it was opened by, which may be a link's; empty for the program. Only while objects are listed: the
    /// loader keeps it as long as it keeps the object.
    pub fn name(&self) -> &[u8] {
        if self.name.is_null() {
            return b"";
        }
        // SAFETY: a text of the loader's that ends in NUL.
        unsafe { CStr::from_ptr(self.name) }.to_bytes()
    }

    /// How many objects are loaded in all, with those of other namespaces (dlmopen(3)), which are not listed.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Whether `address` lies in one of its segments.
    pub fn contains(&self, address: usize) -> bool {
        self.headers().iter().filter(|header| header.kind == libc::PT_LOAD).any(|header| {
            let start = self.base.wrapping_add(header.address);
            (start..start.wrapping_add(header.size)).contains(&address)
        })
    }

    /// The address of a symbol that this object defines, whatever its version.
    pub fn symbol(&self, name: &CStr) -> Option<*const c_void> {
        self.symbols()?.address(name)
    }

    /// The symbols it defines, for who looks up many.
    pub fn symbols(&self) -> Option<Symbols> {
        let dynamic = self.headers().iter().find(|header| header.kind == libc::PT_DYNAMIC)?;
        let mut entry = self.base.wrapping_add(dynamic.address) as *const [usize; 2];
        let (mut symbols, mut names, mut hash, mut gnu_hash) = (None, None, None, None);
        for _ in 0..dynamic.size.checked_div(size_of::<[usize; 2]>()).unwrap_or(0) {
            // SAFETY: inside PT_DYNAMIC, which is mapped readable as long as the object is.
            let [tag, value] = unsafe { entry.read() };
            match tag {
                0 => break,
                DT_SYMTAB => symbols = Some(value),
                DT_STRTAB => names = Some(value),
                DT_HASH => hash = Some(value),
                DT_GNU_HASH => gnu_hash = Some(value),
                _ => {}
            }
            entry = entry.wrapping_add(1);
        }
        // glibc has relocated these addresses in place, musl has not (nor has glibc for the vDSO).
        let inside = |table: Option<usize>| {
            let value = table?;
            [value, value.wrapping_add(self.base)].into_iter().find(|at| self.contains(*at))
        };
        Some(Symbols {
            base: self.base,
            symbols: inside(symbols)? as _,
            names: inside(names)? as _,
            hash: inside(hash).map(|at| at as _),
            gnu_hash: inside(gnu_hash).map(|at| at as _),
        })
    }
}

/// The symbols of one object.
#[derive(Clone, Copy)]
pub struct Symbols {
    base: usize,
    symbols: *const Symbol,
    names: *const libc::c_char,
    hash: Option<*const u32>,
    gnu_hash: Option<*const u32>,
}

/// Symbol types that have an address of their own: NOTYPE, OBJECT, FUNC. An IFUNC (10) would have to be called.
const WITH_ADDRESS: [u8; 3] = [0, 1, 2];

/// No real chain is longer; a damaged one may never end.
const LONGEST_CHAIN: usize = 100_000;

impl Symbols {
    /// The address of a symbol, whatever its version.
    pub fn address(&self, name: &CStr) -> Option<*const c_void> {
        let definition = match (self.gnu_hash, self.hash) {
            (Some(table), _) => self.by_gnu_hash(table, name),
            (None, Some(table)) => self.by_hash(table, name),
            (None, None) => None,
        }?;
        Some(self.base.wrapping_add(definition.value) as *const c_void)
    }

    /// The symbol at `index`, if it is a definition of `name`.
    fn definition(&self, index: u32, name: &CStr) -> Option<&Symbol> {
        // SAFETY: `index` comes from the object's own hash table, which indexes its symbol table.
        let symbol = unsafe { &*self.symbols.wrapping_add(index as usize) };
        if symbol.section == 0 || !WITH_ADDRESS.contains(&(symbol.info & 15)) {
            return None;
        }
        // SAFETY: `st_name` is an offset into the object's string table, whose texts end in NUL.
        let same = unsafe { is_text(self.names.wrapping_add(symbol.name as usize), name) };
        same.then_some(symbol)
    }

    /// The GNU hash table: <https://sourceware.org/legacy-ml/binutils/2006-10/msg00377.html>
    fn by_gnu_hash(&self, table: *const u32, name: &CStr) -> Option<&Symbol> {
        let wanted = gnu_hash(name);
        // SAFETY: the table begins with four words.
        let [buckets, first, bloom_words, shift] = unsafe { table.cast::<[u32; 4]>().read() };
        if buckets == 0 || bloom_words == 0 {
            return None;
        }
        let bloom = table.wrapping_add(4).cast::<u64>();
        let word = (wanted / u64::BITS) & bloom_words.wrapping_sub(1);
        // SAFETY: one of `bloom_words` 64-bit words, a power of two of them.
        let filter = unsafe { bloom.wrapping_add(word as usize).read_unaligned() };
        let bits = (1_u64 << (wanted & 63)) | (1_u64 << (wanted.wrapping_shr(shift) & 63));
        if filter & bits != bits {
            return None;
        }
        let bucket_table = bloom.wrapping_add(bloom_words as usize).cast::<u32>();
        let chains = bucket_table.wrapping_add(buckets as usize);
        // SAFETY: one of `buckets` words.
        let mut index = unsafe { bucket_table.wrapping_add(wanted.checked_rem(buckets)? as usize).read() };
        if index < first {
            return None;
        }
        for _ in 0..LONGEST_CHAIN {
            // SAFETY: a chain has a word for each symbol from `first` on, and ends at one with the lowest bit set.
            let hash = unsafe { chains.wrapping_add(index.wrapping_sub(first) as usize).read() };
            if hash | 1 == wanted | 1
                && let Some(symbol) = self.definition(index, name)
            {
                return Some(symbol);
            }
            if hash & 1 == 1 {
                break;
            }
            index = index.wrapping_add(1);
        }
        None
    }

    /// The hash table of the System V ABI, "Hash Table".
    fn by_hash(&self, table: *const u32, name: &CStr) -> Option<&Symbol> {
        // SAFETY: the table begins with two words.
        let [buckets, symbols] = unsafe { table.cast::<[u32; 2]>().read() };
        let bucket_table = table.wrapping_add(2);
        let chains = bucket_table.wrapping_add(buckets as usize);
        let bucket = sysv_hash(name).checked_rem(buckets)?;
        // SAFETY: one of `buckets` words.
        let mut index = unsafe { bucket_table.wrapping_add(bucket as usize).read() };
        for _ in 0..LONGEST_CHAIN {
            if index == 0 || index >= symbols {
                break;
            }
            if let Some(symbol) = self.definition(index, name) {
                return Some(symbol);
            }
            // SAFETY: one of `symbols` words.
            index = unsafe { chains.wrapping_add(index as usize).read() };
        }
        None
    }
}

fn gnu_hash(name: &CStr) -> u32 {
    name.to_bytes().iter().fold(5381_u32, |hash, byte| hash.wrapping_mul(33).wrapping_add(u32::from(*byte)))
}

fn sysv_hash(name: &CStr) -> u32 {
    name.to_bytes().iter().fold(0_u32, |hash, byte| {
        let hash = hash.wrapping_shl(4).wrapping_add(u32::from(*byte));
        let high = hash & 0xf000_0000;
        (hash ^ high >> 24) & !high
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_are_found_where_the_loader_finds_them() {
        for name in [c"getpid", c"environ", c"malloc", c"confstr"] {
            // SAFETY: dlsym with a NUL-terminated name.
            let expected = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
            assert_eq!(symbol(name), Some(expected.cast_const()).filter(|address| !address.is_null()), "{name:?}");
        }
        assert_eq!(symbol(c"no_such_symbol_anywhere"), None);
    }

    #[test]
    fn an_address_belongs_to_one_object() {
        let here = an_address_belongs_to_one_object as *const () as usize;
        let mut holders = 0;
        each(|object| {
            holders += usize::from(object.contains(here));
            ControlFlow::Continue(())
        });
        assert_eq!(holders, 1);
    }
}
