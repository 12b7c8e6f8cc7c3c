//! `sys.modules` of one interpreter, shown to the inspector.

use crate::own::Own;
use crate::python::{Object, Python};
use crate::text::Arena;
use core::ops::ControlFlow;
use customs_spec::hash;
use customs_spec::inspect::Inspector;
use customs_spec::stdlib;

/// Walks `sys.modules` of this thread's interpreter. `others`, if wanted, takes the names of every top-level module
/// that is not in the standard library.
pub fn look<const SIZE: usize>(
    python: Python,
    inspector: &mut Inspector,
    mut others: Option<&mut Arena<SIZE>>,
) -> Option<()> {
    let modules = python.modules()?;
    let standard = python.sys(c"stdlib_module_names");
    let is_standard = |key: Object, name: &[u8]| {
        name == b"__mp_main__"
            || match standard.and_then(|names| names.set_has(key)) {
                Some(known) => known,
                None => stdlib::contains(name),
            }
    };
    let mut own = Own::new(python, modules)?;
    modules.each(|key, module| {
        // An import that failed or is blocked leaves `None` behind.
        let Some(name) = key.text().filter(|_| !module.is_none()) else { return ControlFlow::Continue(()) };
        let listed = inspector.see_module(name);
        let of_interest = !listed || others.is_some();
        if hash::has_byte(name, b'.') {
            if !listed && own.is_within_package(name) {
                let _kept = module.keep();
                own.look_into(module, inspector);
            }
        } else if name == b"__main__" {
            let _kept = module.keep();
            own.look_into(module, inspector);
        } else if of_interest && !is_standard(key, name) {
            let _kept = (key.keep(), module.keep());
            if let Some(others) = &mut others
                && !others.iter().any(|known| known == name)
            {
                let _ = others.push(&[name]);
            }
            if !listed && own.is_own(module) {
                own.add_package(name);
                own.look_into(module, inspector);
            }
        }
        ControlFlow::Continue(())
    });
    Some(())
}
