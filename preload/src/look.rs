//! What an interpreter has loaded goes into the state: modules, versions, what the user's own code binds, mapped
//! libraries, and the paths of the process as Python has them.

use crate::forks;
use crate::libraries;
use crate::memory::{FOUND, Notes, OTHERS, State, VERSIONS};
use crate::modules;
use crate::python::{Owned, Python};
use crate::sys;
use crate::text::{Arena, Text};
use crate::versions;
use customs_spec::inspect::Inspector;
use customs_spec::policy::Policy;

/// More of a path than any record has room for.
const PATH: usize = 1024;

/// Paths of the process, as Python has them.
#[repr(C)]
pub struct Paths {
    pub executable: Text<PATH>,
    pub main: Text<PATH>,
    pub prefix: Text<PATH>,
}

impl Paths {
    fn learn(&mut self, python: Python) {
        let mut space = [0; PATH];
        let mut text =
            |object: Option<crate::python::Object>| Text::of(object.map_or(b"", |path| path.path(&mut space)));
        self.executable = text(python.sys(c"executable"));
        self.main = text(main_path(python).as_deref().copied());
        self.prefix = text(python.sys(c"prefix"));
    }

    /// Executable, main and prefix.
    pub fn get(&self) -> [&[u8]; 3] {
        [self.executable.get(), self.main.get(), self.prefix.get()]
    }

    /// Where Python does not say what is executed, the kernel does.
    pub fn complete(&mut self) {
        if self.executable.get().is_empty() {
            self.executable = Text::of(sys::read_link(c"/proc/self/exe", &mut [0; PATH]).unwrap_or_default());
        }
    }
}

/// The last look, as far as anybody can tell: only what is there now counts.
pub fn at_the_end(python: Python, state: &mut State, policy: Policy) -> Option<()> {
    let State { notes, found, known, paths, versions, others, .. } = state;
    forks::learn(python, notes);
    at_all(python, (notes, found, paths, versions, others), policy)?;
    keep_marks(found, known);
    known.fill(0);
    // What is there has been seen; only what comes now is new.
    python.modules()?.each_since(&mut notes.position, |_, _| {});
    Some(())
}

/// A look on the way: what an import that fails leaves behind is not there for long.
pub fn on_the_way(python: Python, state: &mut State, policy: Policy) -> Option<()> {
    let State { notes, found, known, paths, versions, others, .. } = state;
    keep_marks(found, known);
    known.fill(0);
    at_all(python, (notes, known, paths, versions, others), policy)
}

/// Keeps what an earlier look or glance has seen bound by the user's own code. At the end it may not be any more: IPython
/// empties the user's namespace before our last look.
fn keep_marks(found: &mut [u8; FOUND], known: &[u8; FOUND]) {
    let kept = found.get_mut(Inspector::DIRECT).unwrap_or_default();
    for (found, known) in kept.iter_mut().zip(known.get(Inspector::DIRECT).unwrap_or_default()) {
        *found |= *known;
    }
}

/// What is known for now, and where it goes.
type Places<'s> = (&'s Notes, &'s mut [u8; FOUND], &'s mut Paths, &'s mut Arena<VERSIONS>, &'s mut Arena<OTHERS>);

/// Everything there is to see in this thread's interpreter, which must be the main one, and in those that share its GIL.
fn at_all(python: Python, (notes, found, paths, versions, others): Places, policy: Policy) -> Option<()> {
    let wants_others = samples_others(policy, notes)?;
    paths.learn(python);
    paths.complete();
    let mut inspector = Inspector::new(policy, paths.main.get(), paths.executable.get(), found)?;
    at_interpreter(python, policy, &mut inspector, versions, wants_others.then_some(&mut *others))?;
    python.each_other_interpreter(|python| {
        let _ = at_interpreter(python, policy, &mut inspector, versions, wants_others.then_some(&mut *others));
    });
    if policy.wants_libraries() {
        let _ = libraries::look(policy, notes, &mut inspector, versions);
    }
    Some(())
}

/// The modules of an interpreter that is not the main one.
pub fn at_subinterpreter(python: Python, state: &mut State, policy: Policy) -> Option<()> {
    let State { notes, found, versions, others, .. } = state;
    let wants_others = samples_others(policy, notes)?;
    let mut inspector = Inspector::new(policy, b"", b"", found)?;
    at_interpreter(python, policy, &mut inspector, versions, wants_others.then_some(others))
}

/// The names of all modules: what a child that is forked now inherits.
pub fn before_a_fork(python: Python, state: &mut State, policy: Policy) -> Option<()> {
    forks::learn(python, &mut state.notes);
    state.notes.position = 0;
    at_new_modules(python, state, policy).map(|_| ())
}

/// The names of modules that came since the last glance: whether any of them is listed. Called at nearly every import,
/// so nothing else is done.
pub fn at_new_modules(python: Python, state: &mut State, policy: Policy) -> Option<bool> {
    let State { notes, known, .. } = state;
    let mut inspector = Inspector::new(policy, b"", b"", known)?;
    python.modules()?.each_since(&mut notes.position, |name, module| {
        if let Some(name) = name.text().filter(|_| !module.is_none()) {
            inspector.see_module(name);
            if name == b"multiprocessing.spawn" {
                notes.watched = forks::WATCHED;
            }
        }
    });
    Some(inspector.has_learnt())
}

/// Bindings of `__main__` that a glance looks at: more between two imports are not written by hand.
const NEWEST: isize = 1000;

/// What `__main__` binds that it did not at the last glance. Not where there is no GIL: a look-up may give up the
/// section in which a dict is walked there.
pub fn at_new_bindings(python: Python, state: &mut State, policy: Policy) -> Option<()> {
    let State { notes, known, .. } = state;
    if python.api().free_threaded.is_some() {
        return None;
    }
    let main = python.modules()?.get(&python.key(c"__main__")?)?;
    let dict = main.module_dict()?;
    // IPython puts another in its place.
    if notes.main != dict.raw() as usize {
        (notes.main, notes.bound) = (dict.raw() as usize, 0);
    }
    if notes.bound == dict.size() {
        return None;
    }
    notes.bound = notes.bound.max(dict.size().saturating_sub(NEWEST));
    let (name, module) = (python.key(c"__name__")?, python.key(c"__module__")?);
    let mut inspector = Inspector::new(policy, b"", b"", known)?;
    dict.each_since(&mut notes.bound, |_, value| {
        value.origin((&name, &module), |origin| inspector.see_direct(origin));
    });
    Some(())
}

fn at_interpreter(
    python: Python,
    policy: Policy,
    inspector: &mut Inspector,
    versions: &mut Arena<VERSIONS>,
    others: Option<&mut Arena<OTHERS>>,
) -> Option<()> {
    modules::look(python, inspector, others)?;
    versions::note(python, inspector, policy.dist_info(), versions)
}

/// Whether any list takes the names of all modules in this process.
fn samples_others(policy: Policy, notes: &Notes) -> Option<bool> {
    Some(policy.lists().any(|list| list.all && crate::report::is_sampled(policy, &list, notes).unwrap_or(false)))
}

/// The path of `__main__`. CPython takes `__file__` away again when a script has run to its end (`pyrun_simple_file`
/// in Python/pythonrun.c); then its loader still has it, and in 2.7, where there is none, `sys.argv`.
fn main_path(python: Python<'_>) -> Option<Owned<'_>> {
    let main = python.modules()?.get(&python.key(c"__main__")?)?;
    let dict = main.module_dict()?;
    if let Some(file) = dict.get(&python.key(c"__file__")?) {
        return Some(file);
    }
    let loader = dict.get(&python.key(c"__loader__")?).and_then(|loader| loader.instance_dict());
    if let Some(path) = loader.and_then(|loader| loader.get(&python.key(c"path")?)) {
        return Some(path);
    }
    // `-c`, `-` and an empty text are not paths.
    let first = python.sys(c"argv").filter(|_| python.api().string_type.is_some())?.first()?;
    let is_path = first.text().is_some_and(|text| !text.is_empty() && !text.starts_with(b"-"));
    is_path.then_some(first)
}
