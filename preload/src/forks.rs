//! Children that were forked and have the state of their parent in their memory. Such a child is silent, because its
//! parent speaks for it, unless it has something to add: it has imported a listed package that its parent had not, or
//! it lives on when the parent has ended.

use crate::endings::{self, signals};
use crate::memory::{self, Guard, Notes, State};
use crate::process::{self, Process, Stat};
use crate::python::Python;
use crate::sys;
use core::ffi::CStr;
use customs_spec::inspect::Inspector;

/// What a forked child knows of where it came from: of the nearest of its ancestors that reports.
#[derive(Clone, Copy)]
pub struct Descent {
    /// Its number.
    pid: u32,
    /// Its start.
    ticks: Option<u64>,
    /// Its record's `id`.
    id: Option<u128>,
}

/// Makes this process the state's own, if it was forked from the one that is. Only for who was called by Python: what a
/// child of vfork(2) writes, it writes into its parent's memory, and it calls no Python.
pub fn adopt() -> Option<()> {
    let (mut state, parent) = memory::adopt()?;
    // A child that starts an interpreter of its own is a process of its own, and will be armed as one.
    // And one that was locked in since may not be asked anything of.
    let is_own = !state.notes.python.is_some_and(|api| api.is_initialized());
    if is_own || !endings::is_free(&state.notes) {
        memory::set_owner_of_adopted(parent);
        return None;
    }
    let adopted = become_child(&mut state);
    // As process 1 of a pid namespace it must not have a handler where it had none.
    if sys::pid() == 1 {
        signals::disarm();
    }
    memory::set_owner_of_adopted(adopted.map_or(0, |()| sys::pid()));
    adopted
}

fn become_child(state: &mut Guard) -> Option<()> {
    let State { notes, found, known, inherited, .. } = &mut **state;
    let has_news = is_any_new(inherited, &[found, known]);
    notes.descent = Some(match notes.descent {
        // The parent is silent itself.
        Some(descent) if !has_news => descent,
        // A fork server was started for its own parent, and speaks for nobody.
        _ if notes.is_helper => Descent::of(Stat::of(notes.pid)?.parent)?,
        _ => Descent { pid: notes.pid, ticks: notes.process?.ticks, id: Some(notes.process?.id) },
    });
    for ((inherited, found), known) in inherited.iter_mut().zip(&*found).zip(&mut *known) {
        *inherited |= *found | *known;
    }
    notes.pid = sys::pid();
    notes.process = Process::identify();
    notes.is_helper = false;
    (notes.sequence, notes.reported, notes.is_recorded) = (0, None, false);
    Some(())
}

/// Whether a module is loaded that was not when the process was forked.
fn is_any_new(inherited: &[u8], now: &[&mut [u8; memory::FOUND]]) -> bool {
    now.iter()
        .any(|now| now.iter().zip(inherited).take(Inspector::LOADED).any(|(now, inherited)| now & !inherited != 0))
}

/// Whether there would be something to report if the process were killed now.
pub fn has_something_to_add(state: &mut State) -> bool {
    !state.notes.is_helper
        && (state.notes.descent.is_none() || is_any_new(&state.inherited, &[&mut state.found, &mut state.known]))
}

/// Whether this process is to be reported: it is nobody's child and no helper, or a child with something to add.
pub fn speaks_for_itself(state: &mut State) -> bool {
    let Some(descent) = state.notes.descent else { return !state.notes.is_helper };
    !state.notes.is_helper && (is_any_new(&state.inherited, &[&mut state.found]) || descent.is_orphan())
}

impl Descent {
    /// From the process with this number.
    fn of(pid: u32) -> Option<Self> {
        Some(Descent { pid, ticks: Some(Stat::of(pid)?.ticks), id: process::id_of(pid) })
    }

    /// The record's `parent`.
    pub fn parent(&self) -> Option<u128> {
        self.id
    }

    /// Whether the ancestor that would have spoken for it is gone, and its parent is no child of that one either: that
    /// would be an orphan itself, and speak for both.
    fn is_orphan(&self) -> bool {
        let Some(ticks) = self.ticks else { return false };
        if Stat::of(self.pid).is_some_and(|stat| stat.ticks == ticks && !stat.is_dead) {
            return false;
        }
        Stat::of(sys::parent_pid()).is_none_or(|parent| parent.ticks < ticks)
    }
}

/// How many imports it takes at most until `spawn_main` runs, once its module is there.
pub const WATCHED: u32 = 64;

/// Notes what only Python can tell of where this process comes from.
pub fn learn(python: Python, notes: &mut Notes) {
    notes.watched = notes.watched.saturating_sub(1);
    // What is forked from a helper begins with its `__main__`.
    if notes.descent.is_some() {
        return;
    }
    // It may get another `__main__` later: that of the program whose processes it is to fork.
    notes.is_helper |= is_helper(python);
    if notes.spawned_by.is_none() {
        notes.spawned_by = spawned_by(python);
    }
}

/// The `id` of the process that had this one started by `multiprocessing`, which runs `spawn_main` in it, and then the
/// program's own main module under the name `__mp_main__` (Lib/multiprocessing/spawn.py).
fn spawned_by(python: Python) -> Option<u128> {
    let main = python.modules()?.get(&python.key(c"__main__")?)?;
    let name = main.module_dict()?.get(&python.key(c"__name__")?)?;
    let mut is_spawned = name.text() == Some(b"__mp_main__");
    command(python, |module| is_spawned |= module == b"multiprocessing.spawn");
    let _ = main_binds(python, c"spawn_main", |module| is_spawned |= module == b"multiprocessing.spawn");
    if is_spawned { process::id_of(sys::parent_pid()) } else { None }
}

/// Whether this is one of the processes that `multiprocessing` keeps for itself; each is started by
/// `python -c 'from multiprocessing.… import main; main(…)'`.
fn is_helper(python: Python) -> bool {
    let mut is_helper = false;
    let mut see = |module: &[u8]| {
        is_helper |= matches!(
            module,
            b"multiprocessing.resource_tracker" | b"multiprocessing.forkserver" | b"multiprocessing.semaphore_tracker"
        );
    };
    command(python, &mut see);
    let _ = main_binds(python, c"main", &mut see);
    is_helper
}

/// Calls `see` with the module of `python -c 'from MODULE import …'`, from 3.10 on, where `sys.orig_argv` tells what
/// this interpreter was started with. A fork server's begins with `import sys; ` in 3.15 and later releases of 3.14
/// (Lib/multiprocessing/forkserver.py).
fn command(python: Python, mut see: impl FnMut(&[u8])) {
    let Some(arguments) = python.sys(c"orig_argv") else { return };
    for index in 1..8 {
        let Some(argument) = arguments.item(index) else { return };
        let module = argument.text().and_then(|text| {
            let text = text.strip_prefix(b"import sys; ").unwrap_or(text);
            text.strip_prefix(b"from ")?.split(|byte| *byte == b' ').next()
        });
        if let Some(module) = module {
            return see(module);
        }
    }
}

/// Calls `see` with the module that the function of this name comes from, if `__main__` binds one.
fn main_binds(python: Python, name: &CStr, see: impl FnMut(&[u8])) -> Option<()> {
    let main = python.modules()?.get(&python.key(c"__main__")?)?;
    let function = main.module_dict()?.get(&python.key(name)?)?;
    function.origin((&python.key(c"__name__")?, &python.key(c"__module__")?), see);
    Some(())
}
