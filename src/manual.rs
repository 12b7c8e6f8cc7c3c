//! The manual page and the shells' completions, made from the command line's own definition.

use crate::cli::{Completions, Customs};
use crate::stdout::answer;
use anyhow::Result;
use clap::{Command, CommandFactory};
use std::process::ExitCode;

/// `customs completions SHELL`
pub fn completions(args: &Completions) -> Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Customs::command(), "customs", &mut script);
    answer(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}

/// `customs man`: one page with every verb on it.
pub fn page() -> Result<ExitCode> {
    let mut command = Customs::command();
    command.build();
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut page)?;
    let is_verb = |verb: &&Command| verb.get_name() != "help";
    let verbs = command.get_subcommands().filter(is_verb);
    // A verb with verbs of its own is followed by them.
    for verb in verbs.flat_map(|verb| std::iter::once(verb).chain(verb.get_subcommands().filter(is_verb))) {
        let verb = clap_mangen::Man::new(verb.clone());
        page.extend_from_slice(b".SH VERB\n");
        verb.render_synopsis_section(&mut page)?;
        verb.render_description_section(&mut page)?;
        verb.render_options_section(&mut page)?;
    }
    answer(&String::from_utf8_lossy(&page))?;
    Ok(ExitCode::SUCCESS)
}
