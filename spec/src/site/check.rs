//! Whether what a site file says makes sense: from a [`Draft`] to a [`Model`]. Whatever is wrong is reported and
//! something harmless put in its place, so that one run shows every problem.

use super::format::{self, Draft, Group, Text};
use super::packages::{Placed, Shelf};
use super::problem::{Fault, Kind};
use super::source::{Source, nearest};
use super::value::{
    Unique, facility, fields, folder, milliseconds, msgid, name, signals, text, texts, variable, variables,
};
use super::{Environment, Surroundings, defaults, packages, server};
use crate::policy::MIN_DATAGRAM;
use crate::policy::model::{Check, Compute, Job, List, Model, On, Server, Subsystem, Thin, Transport};
use crate::record::Field;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// The longest UDP payload over IPv4: 65535 less 20 (IPv4) and 8 (UDP).
const MAX_UDP: i64 = 65_507;

/// The model of a site file, as far as it can be had.
pub fn model(source: &Rc<Source>, draft: Draft, around: &dyn Surroundings, shelf: &mut Shelf) -> Model {
    let mut model = site(source, draft.site);
    model.transports = transports(source, draft.transports);
    model.signals = signals(source, draft.endings.signals);
    model.recorder = draft.endings.recorder.and_then(|text| folder(source, &text)).unwrap_or_default();
    model.thin = draft.thin.into_iter().filter_map(|draft| thin(source, &draft)).collect();
    model.compute = Compute {
        env: variables(source, draft.compute.env, defaults::COMPUTE),
        hosts: texts(source, draft.compute.hosts),
    };
    model.subsystems = subsystems(source, draft.subsystems);
    model.staff = staff(source, draft.staff, around);
    model.ranks = variables(source, draft.ranks.env, defaults::RANKS);
    model.job = Job {
        job_id: variables(source, draft.job.job_id, defaults::JOB_ID),
        num_nodes: variables(source, draft.job.num_nodes, defaults::NUM_NODES),
        qos: variables(source, draft.job.qos, defaults::QOS),
        repo: variables(source, draft.job.repo, defaults::REPO),
    };
    lists(source, draft.lists, shelf, &mut model);
    model
}

fn site(source: &Source, site: Option<format::Site>) -> Model {
    let mut model = Model {
        system: String::new(),
        msgid: defaults::MSGID.to_string(),
        facility: defaults::FACILITY,
        opt_out: defaults::owned(defaults::OPT_OUT),
        omit: Vec::new(),
        pseudonymise: Vec::new(),
        pseudonym_key: String::new(),
        dist_info: false,
        signals: Vec::new(),
        recorder: String::new(),
        thin: Vec::new(),
        transports: Vec::new(),
        compute: Compute::default(),
        subsystems: Vec::new(),
        staff: Vec::new(),
        ranks: Vec::new(),
        job: Job::default(),
        checks: Vec::new(),
        lists: Vec::new(),
    };
    let Some(site) = site else { return model };
    model.system = name(source, "system", &site.system).unwrap_or_default();
    if let Some(text) = &site.msgid {
        model.msgid = source.accept(text.span(), msgid(text.get_ref())).unwrap_or_default();
    }
    if let Some(text) = &site.facility {
        model.facility = source.accept(text.span(), facility(text.get_ref())).unwrap_or_default();
    }
    model.opt_out = variables(source, site.opt_out, defaults::OPT_OUT);
    model.dist_info = site.dist_info;
    model.pseudonym_key = site.pseudonym_key.as_ref().and_then(|key| text(source, key)).unwrap_or_default();

    let omit = fields(source, &site.omit);
    let pseudonymise = fields(source, &site.pseudonymise);
    model.omit = omit.iter().map(|(field, _)| *field).collect();
    model.pseudonymise = pseudonymise.iter().map(|(field, _)| *field).collect();
    for (field, text) in &omit {
        source.accept(text.span(), may_omit(*field));
    }
    for (field, text) in &pseudonymise {
        source.accept(text.span(), may_pseudonymise(*field, &model, site.pseudonym_key.is_some()));
    }
    model
}

fn may_omit(field: Field) -> Result<(), Fault> {
    if field.is_essential() {
        let message = format!("without `{}` a record cannot be told from another or read", field.key());
        return Err(Fault::new(message, "leave it out of `omit`"));
    }
    Ok(())
}

fn may_pseudonymise(field: Field, model: &Model, has_key: bool) -> Result<(), Fault> {
    let key = field.key();
    if model.omit.contains(&field) {
        return Err(Fault::new(format!("`{key}` is in `omit` as well"), "decide: remove it from one of the two"));
    }
    if !field.is_text() {
        let text: Vec<_> = Field::ALL.iter().filter(|field| field.is_text()).map(|field| field.key()).collect();
        let help = format!("omit it, or choose from {}", text.join(", "));
        return Err(Fault::new(format!("`{key}` cannot be sent as a hash"), help));
    }
    if !has_key {
        let help = "add `pseudonym_key = \"…\"` to [site], a secret of your own: without it a hash is undone by trying all names";
        return Err(Fault::new("a hash needs a key", help));
    }
    if field == Field::Username && !model.omit.contains(&Field::Uid) {
        let help = "add \"uid\" to `omit`, or send the name as it is";
        return Err(Fault::new("the username is hidden and the uid, which says the same, is sent", help));
    }
    Ok(())
}

fn transports(source: &Source, drafts: Vec<format::Transport>) -> Vec<Transport> {
    let mut unique = Unique::new(source, "transport");
    let transport = |draft: format::Transport| {
        let servers: Vec<Server> = draft
            .servers
            .get_ref()
            .iter()
            .filter_map(|text| source.accept(text.span(), server::parse(text.get_ref())))
            .collect();
        if draft.servers.get_ref().is_empty() {
            let fault = Fault::new("there is nobody to send to", "write at least one, e.g. [\"udp://10.128.0.7:514\"]");
            source.accept::<()>(draft.servers.span(), Err(fault));
        }
        let on = draft.on.as_ref().map_or(Some(On::Any), |text| source.accept(text.span(), on(text.get_ref())));
        let limit =
            |wanted: &toml::Spanned<i64>| source.accept(wanted.span(), max_datagram(*wanted.get_ref(), &servers));
        Some(Transport {
            name: unique.name(&draft.name)?,
            on: on.unwrap_or(On::Any),
            max_datagram: draft.max_datagram.as_ref().and_then(limit).unwrap_or_else(|| usual_datagram(&servers)),
            servers,
        })
    };
    drafts.into_iter().filter_map(transport).collect()
}

fn thin(source: &Source, draft: &format::Thin) -> Option<Thin> {
    let keep = *draft.keep.get_ref();
    let share = match (0.000_001..1.0).contains(&keep) {
        true => Ok(keep),
        false => Err(Fault::new(
            format!("{keep} is not a part"),
            "write a number from 0.000001 to below 1, e.g. 0.1 for one process in ten",
        )),
    };
    let per_parent = match draft.per.as_ref().map(|text| (text, text.get_ref().as_str())) {
        None | Some((_, "process")) => Some(false),
        Some((_, "parent")) => Some(true),
        Some((text, word)) => source.accept(
            text.span(),
            Err(Fault::new(format!("processes are not kept per `{word}`"), "write \"process\" or \"parent\"")),
        ),
    };
    Some(Thin {
        shorter_than: source.accept(draft.shorter_than.span(), milliseconds(draft.shorter_than.get_ref()))?,
        keep: source.accept(draft.keep.span(), share)?,
        per_parent: per_parent?,
    })
}

fn on(text: &str) -> Result<On, Fault> {
    match text {
        "compute" => Ok(On::Compute),
        "any" => Ok(On::Any),
        _ => Err(Fault::new(format!("`{text}` is no kind of process"), "write \"compute\" or \"any\"")),
    }
}

fn max_datagram(wanted: i64, servers: &[Server]) -> Result<u16, Fault> {
    let udp = servers.iter().any(|server| matches!(server, Server::Udp(_)));
    let most = if udp { MAX_UDP } else { i64::from(u16::MAX) };
    if wanted < i64::from(MIN_DATAGRAM) {
        let help = format!("write at least {MIN_DATAGRAM}, what every IPv6 network carries, or leave it out");
        return Err(Fault::new(format!("a record does not fit into {wanted} bytes"), help));
    }
    u16::try_from(wanted).ok().filter(|_| wanted <= most).ok_or_else(|| {
        let help = format!("write at most {most}; over 1452, UDP is fragmented and a lost fragment loses all");
        Fault::new(format!("no datagram has {wanted} bytes"), help)
    })
}

/// The least of what the servers' kinds take.
fn usual_datagram(servers: &[Server]) -> u16 {
    let usual = |server: &Server| match server {
        Server::Udp(_) => defaults::MAX_DATAGRAM_UDP,
        Server::Unix(_) => defaults::MAX_DATAGRAM_UNIX,
        Server::File(_) => defaults::MAX_DATAGRAM_FILE,
    };
    servers.iter().map(usual).min().unwrap_or(defaults::MAX_DATAGRAM_UDP)
}

fn subsystems(source: &Source, drafts: Vec<format::Subsystem>) -> Vec<Subsystem> {
    let mut unique = Unique::new(source, "subsystem");
    let subsystem = |draft: format::Subsystem| {
        if draft.hosts.is_empty() && draft.env.is_empty() {
            let help = "add `hosts = [\"nid0[2-9]*\"]` or `env = { SLURM_JOB_PARTITION = \"knl*\" }`";
            source.report(Kind::MissingKey, draft.name.span(), "nothing is ever in this subsystem", help);
        }
        let env = |(key, glob): (Text, Text)| Some((variable(source, &key)?, text(source, &glob)?));
        Some(Subsystem {
            name: unique.name(&draft.name)?,
            hosts: texts(source, draft.hosts),
            env: draft.env.into_iter().filter_map(env).collect(),
        })
    };
    drafts.into_iter().filter_map(subsystem).collect()
}

/// Where Pythons come from, in a site's own words.
pub fn environments(source: &Source, drafts: Vec<format::Environment>) -> Vec<Environment> {
    let mut unique = Unique::new(source, "environment");
    let environment = |draft: format::Environment| {
        if draft.prefix.get_ref().is_empty() {
            let help = "add where such Pythons lie: `prefix = [\"/opt/python/*\"]`";
            source.report(Kind::MissingKey, draft.prefix.span(), "nothing is ever of this kind", help);
        }
        Some(Environment { name: unique.name(&draft.name)?, prefix: texts(source, draft.prefix.into_inner()) })
    };
    drafts.into_iter().filter_map(environment).collect()
}

fn staff(source: &Source, draft: format::Staff, around: &dyn Surroundings) -> Vec<u32> {
    let resolve = |group: &toml::Spanned<Group>| match group.get_ref() {
        Group::Number(gid) => Some(*gid),
        Group::Name(name) => around.group(name).or_else(|| {
            let help = "names are looked up where you compile; write the number, or compile where the group is known";
            source.report(Kind::NotFound, group.span(), format!("there is no group `{name}` here"), help);
            None
        }),
    };
    let mut groups: Vec<u32> = draft.groups.iter().filter_map(resolve).collect();
    groups.sort_unstable();
    groups.dedup();
    groups
}

fn lists(source: &Rc<Source>, drafts: Vec<(format::List, Vec<format::Package>)>, shelf: &mut Shelf, model: &mut Model) {
    let mut unique = Unique::new(source, "list");
    let mut collection = Collection::default();
    for (draft, inline) in drafts {
        let name = unique.name(&draft.name);
        let checks = list_checks(source, &draft, inline, shelf);
        let list = List {
            name: name.unwrap_or_default(),
            checks: checks.iter().map(|placed| collection.number(&placed.check)).collect(),
            all: draft.all,
            rate: rate(source, &draft),
            per_process: draft
                .per
                .as_ref()
                .is_some_and(|text| source.accept(text.span(), per(text.get_ref())) == Some(true)),
            transports: draft
                .transport
                .iter()
                .filter_map(|name| transport_number(source, name, &model.transports))
                .collect(),
            empty: draft.empty.unwrap_or(true),
        };
        model.lists.push(list);
    }
    model.checks = collection.checks;
}

/// The checks of a list, from the files it includes and from itself.
fn list_checks(
    source: &Rc<Source>,
    draft: &format::List,
    inline: Vec<format::Package>,
    shelf: &mut Shelf,
) -> Vec<Rc<Placed>> {
    let own = packages::checks(source, inline);
    let mut files: Vec<Rc<Vec<Rc<Placed>>>> = match &draft.include {
        Some(paths) => paths.get_ref().iter().map(|path| shelf.include(source, path)).collect(),
        None if own.is_empty() && !draft.all => Vec::from([shelf.shipped()]),
        None => Vec::new(),
    };
    files.push(Rc::new(own));

    let mut kept: Vec<Rc<Placed>> = Vec::new();
    let mut by_name: BTreeMap<&str, usize> = BTreeMap::new();
    for placed in files.iter().flat_map(|file| file.iter()) {
        let Some(first) = by_name.get(placed.check.name.as_str()).map(|number| &kept[*number]) else {
            by_name.insert(&placed.check.name, kept.len());
            kept.push(placed.clone());
            continue;
        };
        if first.check != placed.check {
            let (package, list) = (&placed.check.name, draft.name.get_ref());
            let message = format!("the list `{list}` has `{package}` in two ways");
            let help = format!("{} says something else; remove one of the two or rename it", first.place());
            placed.source.report(Kind::Duplicate, placed.span.clone(), message, help);
        }
    }
    kept
}

fn rate(source: &Source, draft: &format::List) -> f64 {
    let Some(rate) = &draft.rate else { return 1.0 };
    let fault = if !(*rate.get_ref() > 0.0 && *rate.get_ref() <= 1.0) {
        Fault::new(
            format!("{} is not a share", rate.get_ref()),
            "write a number above 0 and up to 1, e.g. 0.01 for one job in a hundred",
        )
    } else if !draft.all {
        Fault::new(
            "only a list with `all = true` is sampled",
            "remove `rate`, or add `all = true`: a package list counts every process",
        )
    } else {
        return *rate.get_ref();
    };
    source.accept(rate.span(), Err(fault)).unwrap_or(1.0)
}

fn per(text: &str) -> Result<bool, Fault> {
    match text {
        "job" => Ok(false),
        "process" => Ok(true),
        _ => Err(Fault::new(format!("a rate is not taken per `{text}`"), "write \"job\" or \"process\"")),
    }
}

fn transport_number(source: &Source, name: &Text, transports: &[Transport]) -> Option<u16> {
    let found = transports.iter().position(|transport| transport.name == *name.get_ref());
    if found.is_none() {
        let known: Vec<&str> = transports.iter().map(|transport| transport.name.as_str()).collect();
        let help = match nearest(name.get_ref(), &known) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("add a [[transport]] of this name; there are: {}", known.join(", ")),
        };
        source.report(Kind::NotFound, name.span(), format!("there is no transport `{}`", name.get_ref()), help);
    }
    u16::try_from(found?).ok()
}

/// The checks of all lists, each once.
#[derive(Default)]
struct Collection {
    checks: Vec<Check>,
    by_name: BTreeMap<String, Vec<u16>>,
}

impl Collection {
    fn number(&mut self, check: &Check) -> u16 {
        let same_name = self.by_name.entry(check.name.clone()).or_default();
        if let Some(number) = same_name.iter().find(|number| self.checks[usize::from(**number)] == *check) {
            return *number;
        }
        // Beyond 65,535 the number is wrong, and the policy is refused long before as too large.
        let number = self.checks.len() as u16;
        self.checks.push(check.clone());
        same_name.push(number);
        number
    }
}
