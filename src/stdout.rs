//! Standard output carries the answer and nothing else, and a reader may close it early (`| head`).

use anyhow::{Context, Error, Result};
use std::io::{self, ErrorKind, Write};

/// Writes the answer.
pub fn answer(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("cannot write to standard output")
}

/// Whether this is the error of a reader who has seen enough.
pub fn was_closed(error: &Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}
