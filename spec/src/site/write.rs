//! The way back: a model as a site file that compiles to the same bytes.
//!
//! Everything is spelled out, also what a site left to the defaults, so that the text means the same to a later
//! version; groups are numbers and packages stand in their lists, so that it needs no other file.

use super::value::FACILITIES;
use crate::policy::model::{Check, List, Model, On, Server, Transport};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write;

/// The site file of `model`.
pub fn write(model: &Model) -> String {
    let mut out = Toml::default();
    out.table("[site]");
    out.text("system", &model.system);
    out.text("msgid", &model.msgid);
    out.text("facility", FACILITIES.get(usize::from(model.facility)).unwrap_or(&"local0"));
    out.texts("opt_out", &model.opt_out);
    out.texts("omit", model.omit.iter().map(|field| field.key()));
    out.texts("pseudonymise", model.pseudonymise.iter().map(|field| field.key()));
    if !model.pseudonym_key.is_empty() {
        out.text("pseudonym_key", &model.pseudonym_key);
    }
    out.plain("dist_info", model.dist_info);
    model.transports.iter().for_each(|transport| out.transport(transport));
    out.table("[endings]");
    out.texts("signals", model.signals.iter().map(|number| crate::signal::name(*number)));
    if !model.recorder.is_empty() {
        out.text("recorder", &model.recorder);
    }
    for thin in &model.thin {
        out.table("[[thin]]");
        out.text("shorter_than", &format!("{}ms", thin.shorter_than));
        out.plain("keep", format_args!("{:?}", thin.keep));
        out.text("per", if thin.per_parent { "parent" } else { "process" });
    }
    out.table("[compute]");
    out.texts("env", &model.compute.env);
    out.texts("hosts", &model.compute.hosts);
    for subsystem in &model.subsystems {
        out.table("[[subsystem]]");
        out.text("name", &subsystem.name);
        out.texts("hosts", &subsystem.hosts);
        let env = subsystem.env.iter().map(|(variable, glob)| format!("{} = {}", quoted(variable), quoted(glob)));
        out.plain("env", format!("{{ {} }}", env.collect::<Vec<_>>().join(", ")));
    }
    out.table("[staff]");
    out.plain("groups", format!("{:?}", model.staff));
    out.table("[ranks]");
    out.texts("env", &model.ranks);
    out.table("[job]");
    out.texts("job_id", &model.job.job_id);
    out.texts("num_nodes", &model.job.num_nodes);
    out.texts("qos", &model.job.qos);
    out.texts("repo", &model.job.repo);
    model.lists.iter().for_each(|list| out.list(list, model));
    out.written
}

/// A TOML text in the making.
#[derive(Default)]
struct Toml {
    written: String,
}

impl Toml {
    fn table(&mut self, header: &str) {
        let gap = if self.written.is_empty() { "" } else { "\n" };
        self.line(format_args!("{gap}{header}"));
    }

    fn plain(&mut self, key: &str, value: impl core::fmt::Display) {
        self.line(format_args!("{key} = {value}"));
    }

    fn text(&mut self, key: &str, value: &str) {
        self.plain(key, quoted(value));
    }

    fn texts<T: AsRef<str>>(&mut self, key: &str, values: impl IntoIterator<Item = T>) {
        self.plain(key, list(values));
    }

    fn line(&mut self, line: core::fmt::Arguments) {
        // Writing into a String cannot fail.
        let _ = writeln!(self.written, "{line}");
    }

    fn transport(&mut self, transport: &Transport) {
        self.table("[[transport]]");
        self.text("name", &transport.name);
        self.text("on", if transport.on == On::Any { "any" } else { "compute" });
        self.texts("servers", transport.servers.iter().map(Server::to_string));
        self.plain("max_datagram", transport.max_datagram);
    }

    fn list(&mut self, list: &List, model: &Model) {
        self.table("[[list]]");
        self.text("name", &list.name);
        self.plain("include", "[]");
        self.plain("all", list.all);
        if list.all {
            self.plain("rate", format_args!("{:?}", list.rate));
        }
        self.text("per", if list.per_process { "process" } else { "job" });
        let transports = list.transports.iter().filter_map(|number| model.transports.get(usize::from(*number)));
        self.texts("transport", transports.map(|transport| &transport.name));
        self.plain("empty", list.empty);
        let checks = list.checks.iter().filter_map(|number| model.checks.get(usize::from(*number)));
        checks.for_each(|check| self.package(check));
    }

    fn package(&mut self, check: &Check) {
        self.table("[[list.package]]");
        self.text("name", &check.name);
        let implied = check.libraries.is_empty() && check.modules == [check.name.as_str()];
        if !implied && !check.modules.is_empty() {
            self.texts("module", &check.modules);
        }
        if !check.libraries.is_empty() {
            self.texts("library", &check.libraries);
        }
        let unless: Vec<String> = [("main", &check.unless_main), ("executable", &check.unless_executable)]
            .into_iter()
            .filter(|(_, globs)| !globs.is_empty())
            .map(|(key, globs)| format!("{key} = {}", self::list(globs)))
            .collect();
        if !unless.is_empty() {
            self.plain("unless", format!("{{ {} }}", unless.join(", ")));
        }
        if let Some((module, attribute)) = &check.version {
            self.text("version", &format!("{module}:{attribute}"));
        }
        if let Some(distribution) = &check.distribution {
            self.text("distribution", distribution);
        }
    }
}

fn list<T: AsRef<str>>(values: impl IntoIterator<Item = T>) -> String {
    let values: Vec<String> = values.into_iter().map(|value| quoted(value.as_ref())).collect();
    format!("[{}]", values.join(", "))
}

/// A basic string (TOML 1.0, section "String"). Control characters cannot be there: the compiler refuses them.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
