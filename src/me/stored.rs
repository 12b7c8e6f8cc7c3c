//! What a dataset holds of one user.

use crate::dataset::json::object;
use crate::dataset::of_user::{self, Wanted};
use crate::dataset::{Dataset, schema};
use crate::stdout::answer;
use anyhow::Result;
use customs_spec::hash;
use customs_spec::policy::model::Model;
use customs_spec::record::Field;
use nix::unistd::Uid;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::Arc;

/// By what a user's records are known.
#[derive(Clone)]
pub struct User {
    uid: u32,
    /// Where a site omits the uid: the name, and what it is sent as.
    names: Vec<String>,
}

impl User {
    /// By the number, and by the name where a policy says how that is sent.
    pub fn of(uid: u32, model: Option<&Model>) -> Self {
        let name = nix::unistd::User::from_uid(Uid::from_raw(uid)).ok().flatten().map(|user| user.name);
        let key = model.map(|model| &model.pseudonym_key).filter(|key| !key.is_empty());
        let pseudonym = name.as_ref().zip(key).map(|(name, key)| {
            let hash = hash::of_parts(hash::key_from(key.as_bytes()), &[name.as_bytes()]);
            format!("{hash:032x}")
        });
        User { uid, names: name.into_iter().chain(pseudonym).collect() }
    }

    fn wanted(&self) -> Wanted {
        let user = self.clone();
        Arc::new(move |uid, username| user.is_of(uid, username))
    }

    fn is_of(&self, uid: i64, username: &str) -> bool {
        // -1: the site omits it.
        uid == i64::from(self.uid) || uid == -1 && self.names.iter().any(|name| name == username)
    }
}

/// Counts.
pub fn summary(dataset: &Path, user: &User) -> Result<Value> {
    let dataset = Dataset::open(dataset)?;
    let (mut records, mut processes) = (0_u64, 0_u64);
    let (mut first, mut last): (Option<String>, Option<String>) = (None, None);
    let (mut packages, mut hosts) = (BTreeMap::<String, u64>::new(), BTreeMap::<String, u64>::new());
    for day in dataset.days()? {
        let mut ids = HashSet::new();
        for (record, arrival) in of_user::records(&dataset, &day, &user.wanted())? {
            records += 1;
            for name in &record.packages {
                *packages.entry(name.to_string()).or_default() += 1;
            }
            if ids.insert(record.id) {
                *hosts.entry(record.text(Field::Host).to_string()).or_default() += 1;
            }
            let json = object(&record, &arrival);
            let start = json[Field::Start.key()].as_str().filter(|start| !start.is_empty());
            let time = start.or_else(|| json[schema::ARRIVED].as_str()).map(str::to_string);
            first = [first, time.clone()].into_iter().flatten().min();
            last = last.max(time);
        }
        processes += ids.len() as u64;
    }
    Ok(json!({
        "uid": user.uid, "records": records, "processes": processes, "first": first, "last": last,
        "packages": packages, "hosts": hosts,
    }))
}

/// All of them, a line of JSON each.
pub fn print(dataset: &Path, user: &User) -> Result<()> {
    let dataset = Dataset::open(dataset)?;
    for day in dataset.days()? {
        for (record, arrival) in of_user::records(&dataset, &day, &user.wanted())? {
            answer(&format!("{}\n", object(&record, &arrival)))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_known_by_the_number_and_by_the_name_where_that_is_omitted() {
        let mut model = crate::site::shipped().unwrap().model;
        model.pseudonym_key = "key".to_string();
        let root = User::of(0, Some(&model));
        let code = format!("{:032x}", hash::of_parts(hash::key_from(b"key"), &[b"root"]));
        for (uid, name, expected) in
            [(0, "", true), (1, "root", false), (-1, "root", true), (-1, &code, true), (-1, "", false)]
        {
            assert_eq!(root.is_of(uid, name), expected, "{uid} {name}");
        }
    }
}
