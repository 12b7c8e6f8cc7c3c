//! Where records go and in which of three forms.

use super::assemble::{Assembler, Record, number, text};
use super::show;
use crate::cli::Run;
use anyhow::{Context, Result};
use customs_spec::record::Field;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, IsTerminal, Write};

enum Form {
    Human,
    Json,
    Raw,
}

/// Shows records as they arrive.
pub struct Printer {
    out: Box<dyn Write + Send>,
    form: Form,
    /// Columns to wrap at.
    width: usize,
    assembler: Assembler,
    /// Highest `seq` so far of each `id` and `list`.
    latest: BTreeMap<(String, String), u64>,
    silent: bool,
    failure: Option<io::Error>,
}

impl Printer {
    /// Opens the output before anything runs, so that a mistake in its name costs nothing.
    pub fn open(args: &Run) -> Result<Self> {
        let form = match (args.raw, args.json) {
            (true, _) => Form::Raw,
            (_, true) => Form::Json,
            _ => Form::Human,
        };
        let out: Box<dyn Write + Send> = match (&args.output, &form) {
            (Some(path), _) => {
                let file = File::create(path).with_context(|| format!("cannot write --output {}", path.display()))?;
                Box::new(anstream::StripStream::new(file))
            }
            (None, Form::Human) => Box::new(anstream::AutoStream::auto(io::stderr())),
            (None, _) => Box::new(io::stdout()),
        };
        Ok(Printer {
            out,
            form,
            width: if args.output.is_none() { width() } else { usize::MAX },
            assembler: Assembler::default(),
            latest: BTreeMap::new(),
            silent: true,
            failure: None,
        })
    }

    /// Shows a datagram, or the record that it completes.
    pub fn take(&mut self, datagram: &[u8]) {
        self.silent = false;
        if let Form::Raw = self.form {
            return self.write(&[datagram, b"\n"].concat());
        }
        match self.assembler.take(datagram) {
            Ok(Some(record)) => self.show(&record),
            Ok(None) => {}
            Err(error) => eprintln!("customs: received something that is not a record: {error:#}"),
        }
    }

    /// Shows what is incomplete; the first failure to write, if there was one.
    pub fn finish(&mut self) -> Result<()> {
        for record in self.assembler.incomplete() {
            eprintln!("customs: not all of the {} parts of this record arrived:", number(&record, Field::Parts));
            self.show(&record);
        }
        match self.failure.take() {
            Some(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error).context("cannot write the records"),
            _ => Ok(()),
        }
    }

    /// Whether nothing at all was received.
    pub fn is_silent(&self) -> bool {
        self.silent
    }

    fn show(&mut self, record: &Record) {
        let seq = number(record, Field::Seq);
        let before = self.latest.insert((text(record, Field::Id), text(record, Field::List)), seq);
        let shown = match self.form {
            Form::Human => show::record(record, before, self.width),
            _ => format!("{}\n", serde_json::Value::from(record.clone())),
        };
        self.write(shown.as_bytes());
    }

    /// One write a record: the command may be writing to the same place.
    fn write(&mut self, bytes: &[u8]) {
        if let Err(error) = self.out.write_all(bytes).and_then(|()| self.out.flush()) {
            self.failure.get_or_insert(error);
        }
    }
}

/// Of the terminal; without one, lines are left as long as they are.
fn width() -> usize {
    let stderr = io::stderr();
    if !stderr.is_terminal() {
        return usize::MAX;
    }
    terminal_size::terminal_size_of(stderr).map_or(100, |(width, _)| usize::from(width.0))
}
