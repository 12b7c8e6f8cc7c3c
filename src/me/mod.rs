//! `customs me`: for the people whose programs are watched. What is looked for here, what is sent and what is not, how to
//! opt out; what would be sent of a command; what is stored of oneself.

mod command;
mod stored;
mod words;

use crate::cli::Me;
use crate::library::Library;
use crate::preloaded::{self, Entry};
use crate::stdout::answer;
use crate::{NO, here, site};
use anyhow::{Context, Result, ensure};
use customs_spec::policy::digest;
use customs_spec::policy::model::Model;
use nix::unistd::getuid;
use serde_json::{Value, json};
use std::path::Path;
use std::process::ExitCode;

/// Answers.
pub fn run(args: &Me) -> Result<ExitCode> {
    let own = getuid();
    let uid = args.uid.unwrap_or(own.as_raw());
    ensure!(uid == own.as_raw() || own.is_root(), "--uid: only root may ask for another user");
    let force = Force::find(&args.site);
    if !args.command.is_empty() {
        let Some(force) = force? else {
            eprintln!("customs: nothing would be sent: {}", words::NOTHING);
            return Ok(ExitCode::from(NO));
        };
        return command::run(&force, &args.command);
    }
    let stored = || -> Result<Option<Value>> {
        let Some(dataset) = &args.dataset else { return Ok(None) };
        // A policy that cannot be read is no reason not to look; it only knows of pseudonyms.
        let model = force.as_ref().ok().and_then(Option::as_ref).map(|force| &force.model);
        let user = stored::User::of(uid, model);
        if args.records {
            stored::print(dataset, &user)?;
            return Ok(None);
        }
        stored::summary(dataset, &user).map(Some)
    };
    let stored = stored()?;
    if args.records {
        return Ok(ExitCode::SUCCESS);
    }
    let force = force?;
    if args.json {
        let mut object = force.as_ref().map_or(json!({ "in_force": false, "reported": false }), words::json);
        if let Some(stored) = stored {
            object["stored"] = stored;
        }
        answer(&format!("{object}\n"))?;
    } else {
        let width = words::width();
        let mut text = force.as_ref().map_or_else(|| words::nothing(width), |force| words::text(force, width));
        if let (Some(stored), Some(dataset)) = (stored, &args.dataset) {
            text.push_str(&words::stored(&stored, dataset, width));
        }
        answer(&text)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The policy in force.
pub struct Force {
    /// The library that carries it; `None` where a site file says it.
    pub library: Option<Library>,
    /// By what that library is preloaded.
    pub entry: Option<Entry>,
    /// Where the policy was found.
    pub source: String,
    /// The policy.
    pub model: Model,
    /// Its digest, as records have it.
    pub digest: String,
}

impl Force {
    /// That of the library which is preloaded here, else that of the site file, if there is one.
    fn find(site: &Path) -> Result<Option<Self>> {
        let usual = site == Path::new(site::DEFAULT);
        if let Some(entry) = preloaded::library().filter(|entry| entry.path().exists()) {
            let path = entry.path();
            let library = Library::read(&path)?;
            let model = library.policy().with_context(|| format!("{} does nothing", path.display()))?;
            let digest = library.digest();
            return Ok(Some(Force {
                library: Some(library),
                entry: Some(entry),
                source: path.display().to_string(),
                model,
                digest,
            }));
        }
        if usual && !site.exists() {
            return Ok(None);
        }
        let compiled = site::compile(site)?;
        let digest = format!("{:016x}", digest(&compiled.bytes));
        Ok(Some(Force {
            library: None,
            entry: None,
            source: site.display().to_string(),
            model: compiled.model,
            digest,
        }))
    }

    /// Why nothing that is started from here is reported; nothing, where it is.
    pub fn silence(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        if self.entry.is_none() {
            reasons.push("no customs library is preloaded in this environment".to_string());
        }
        reasons.extend(
            here::opted_out(&self.model, &here::variable)
                .iter()
                .map(|name| format!("you have opted out: {name} is set")),
        );
        for (name, value) in here::other_ranks(&self.model, &here::variable) {
            reasons.push(format!("{name} is {value}, and of a parallel program rank 0 alone is reported"));
        }
        let is_compute = self.is_compute();
        if self.model.lists.iter().all(|list| here::transports(&self.model, list, is_compute).is_empty()) {
            reasons.push("records of this place go nowhere".to_string());
        }
        reasons
    }

    /// Whether what is started here is a compute process.
    pub fn is_compute(&self) -> bool {
        here::compute(&self.model, &here::host(), &here::variable).is_some()
    }
}
