//! The tables of a site file and of a package list, as TOML has them. What a key means is documented in
//! docs/SITE.md; whether its value makes sense is for [`super::check`] to say.
//!
//! Later tables get a struct here and a line in [`super::read_site`].

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use serde::Deserialize;
use serde::de::IgnoredAny;
use toml::Spanned;

pub type Text = Spanned<String>;
pub type Texts = Vec<Text>;

/// A site file as it stands, nothing checked.
#[derive(Default)]
pub struct Draft {
    pub site: Option<Site>,
    pub transports: Vec<Transport>,
    pub endings: Endings,
    pub thin: Vec<Thin>,
    pub compute: Compute,
    pub subsystems: Vec<Subsystem>,
    pub environments: Vec<Environment>,
    pub staff: Staff,
    pub ranks: Ranks,
    pub job: Job,
    pub lists: Vec<(List, Vec<Package>)>,
}

/// `[site]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Site {
    pub system: Text,
    pub msgid: Option<Text>,
    pub facility: Option<Text>,
    pub opt_out: Option<Texts>,
    #[serde(default)]
    pub omit: Texts,
    #[serde(default)]
    pub pseudonymise: Texts,
    pub pseudonym_key: Option<Text>,
    #[serde(default)]
    pub dist_info: bool,
}

/// `[[transport]]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transport {
    pub name: Text,
    pub on: Option<Text>,
    pub servers: Spanned<Texts>,
    pub max_datagram: Option<Spanned<i64>>,
}

/// `[endings]`
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endings {
    pub signals: Option<Texts>,
    pub recorder: Option<Text>,
}

/// `[[thin]]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Thin {
    pub shorter_than: Text,
    pub keep: Spanned<f64>,
    pub per: Option<Text>,
}

/// `[compute]`
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Compute {
    pub env: Option<Texts>,
    #[serde(default)]
    pub hosts: Texts,
}

/// `[[subsystem]]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subsystem {
    pub name: Text,
    #[serde(default)]
    pub hosts: Texts,
    #[serde(default)]
    pub env: BTreeMap<Text, Text>,
}

/// `[[environment]]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Environment {
    pub name: Text,
    pub prefix: Spanned<Texts>,
}

/// `[staff]`
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Staff {
    #[serde(default)]
    pub groups: Vec<Spanned<Group>>,
}

/// A group by number or by name.
#[derive(Deserialize)]
#[serde(untagged, expecting = "this is neither a group's name nor its number")]
pub enum Group {
    Number(u32),
    Name(String),
}

/// `[ranks]`
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ranks {
    pub env: Option<Texts>,
}

/// `[job]`
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Job {
    pub job_id: Option<Texts>,
    pub num_nodes: Option<Texts>,
    pub qos: Option<Texts>,
    pub repo: Option<Texts>,
}

/// `[[list]]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct List {
    pub name: Text,
    pub include: Option<Spanned<Texts>>,
    /// `[[list.package]]`: read table by table, so that each is reported for itself.
    #[allow(dead_code, reason = "only its name is wanted, among the keys that may stand here")]
    pub package: Option<IgnoredAny>,
    #[serde(default)]
    pub all: bool,
    pub rate: Option<Spanned<f64>>,
    pub per: Option<Text>,
    #[serde(default)]
    pub transport: Texts,
    pub empty: Option<bool>,
}

/// `[[package]]` of a package list, `[[list.package]]` of a site file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Package {
    pub name: Text,
    #[serde(default)]
    pub module: Texts,
    #[serde(default)]
    pub library: Texts,
    #[serde(default)]
    pub unless: Unless,
    pub version: Option<Text>,
    pub distribution: Option<Text>,
}

/// `unless = { main = […], executable = […] }`
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unless {
    #[serde(default)]
    pub main: Texts,
    #[serde(default)]
    pub executable: Texts,
}
