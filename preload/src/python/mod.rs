//! All we know of CPython. Outside of this folder nobody names a C-API function.

mod api;
mod definition;
mod object;

pub use api::{Api, Callback, MethodDef, Place, Raw};
pub use definition::{Arguments, Callback4, Definition};
pub use object::{Dict, Object, Owned, Python};
