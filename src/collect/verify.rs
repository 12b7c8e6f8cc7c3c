//! What can be verified of a record, and what is looked up for it: here a name service may be asked, and may be slow.

use super::journal::{Sender, Via};
use crate::record::Record;
use customs_spec::record::Field;
use nix::unistd::{Uid, User};
use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, ToSocketAddrs};
use std::time::{Duration, Instant};

/// How long an answer is good.
const GOOD_FOR: Duration = Duration::from_secs(3600);
/// How many are remembered.
const MOST: usize = 100_000;
/// What a name service may take of each [`SPAN`]: then it is left alone until the next, so that neither a slow one nor
/// somebody who makes up hosts holds the records up.
const SHARE: Duration = Duration::from_secs(6);
const SPAN: Duration = Duration::from_secs(60);

/// What the record says, and whether it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the sender's address is one of `host`; `None` where that cannot be known.
    pub host: Option<bool>,
    /// Whether the sender is `uid`; `None` where the kernel does not say.
    pub uid: Option<bool>,
}

/// Asks, and remembers.
pub struct Verifier {
    asks: bool,
    hosts: Answers<String, Vec<IpAddr>>,
    users: Answers<u32, String>,
}

impl Verifier {
    /// One that asks the name service only if it `asks`.
    pub fn new(asks: bool) -> Self {
        Verifier { asks, hosts: Answers::default(), users: Answers::default() }
    }

    /// Compares, and fills in the name of a user who has none.
    pub fn look_at(&mut self, record: &mut Record, sender: &Sender) -> Verdict {
        let claimed = u32::try_from(record.number(Field::Uid)).ok();
        if let (true, Some(uid), "") = (self.asks, claimed, record.text(Field::Username)) {
            let name = self.users.get(uid, || User::from_uid(Uid::from_raw(uid)).ok().flatten().map(|user| user.name));
            if let (Some(name), Some(place)) = (name, record.text_mut(Field::Username)) {
                *place = Cow::Owned(name);
            }
        }
        // Root may send for others, as a relay and `customs reap` do.
        let uid = sender.uid.filter(|uid| *uid != 0).and_then(|uid| Some(claimed? == uid));
        Verdict { host: self.host(record.text(Field::Host), sender), uid }
    }

    /// A relay's address says nothing of the host.
    fn host(&mut self, host: &str, sender: &Sender) -> Option<bool> {
        let address = sender.address.filter(|_| self.asks && sender.via == Via::Udp && !host.is_empty())?;
        let resolve = || Some((host, 0).to_socket_addrs().ok()?.map(|found| found.ip().to_canonical()).collect());
        let known: Vec<IpAddr> = self.hosts.get(host.to_string(), resolve)?;
        Some(known.contains(&address))
    }
}

/// Answers of a name service.
struct Answers<K, V> {
    known: HashMap<K, (Instant, Option<V>)>,
    since: Instant,
    spent: Duration,
}

impl<K, V> Default for Answers<K, V> {
    fn default() -> Self {
        Answers { known: HashMap::new(), since: Instant::now(), spent: Duration::ZERO }
    }
}

impl<K: Hash + Eq, V: Clone> Answers<K, V> {
    fn get(&mut self, key: K, ask: impl FnOnce() -> Option<V>) -> Option<V> {
        let now = Instant::now();
        if let Some((when, answer)) = self.known.get(&key)
            && now.duration_since(*when) < GOOD_FOR
        {
            return answer.clone();
        }
        if now.duration_since(self.since) > SPAN {
            (self.since, self.spent) = (now, Duration::ZERO);
        }
        if self.spent > SHARE {
            return None;
        }
        let answer = ask();
        self.spent += now.elapsed();
        if self.known.len() >= MOST {
            self.known.clear();
        }
        self.known.insert(key, (now, answer.clone()));
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn record(host: &str, uid: i64) -> Record<'static> {
        let mut record = Record::default();
        *record.text_mut(Field::Host).unwrap() = host.to_string().into();
        record.numbers[0] = uid;
        record
    }

    #[test]
    fn a_sender_is_compared_with_what_it_says() {
        let mut verifier = Verifier::new(true);
        let udp = Sender { via: Via::Udp, address: Some(HERE), uid: None };
        assert_eq!(verifier.look_at(&mut record("localhost", 0), &udp).host, Some(true));
        let elsewhere = Sender { address: Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 9))), ..udp };
        assert_eq!(verifier.look_at(&mut record("localhost", 0), &elsewhere).host, Some(false));
        assert_eq!(verifier.look_at(&mut record("localhost", 0), &Sender { via: Via::Tcp, ..elsewhere }).host, None);
        assert_eq!(Verifier::new(false).look_at(&mut record("localhost", 0), &elsewhere).host, None);
        let unix = |uid| Sender { via: Via::Unix, address: None, uid };
        for (uid, expected) in [(Some(7), Some(true)), (Some(8), Some(false)), (Some(0), None), (None, None)] {
            assert_eq!(verifier.look_at(&mut record("", 7), &unix(uid)).uid, expected);
        }
    }

    #[test]
    fn a_name_service_that_has_taken_its_share_is_left_alone() {
        let mut answers = Answers::default();
        assert_eq!(answers.get(1, || Some("a")), Some("a"));
        answers.spent = SHARE * 2;
        assert_eq!(answers.get(2, || panic!("asked")), None);
        assert_eq!(answers.get(1, || panic!("asked")), Some("a"));
        answers.since = Instant::now().checked_sub(SPAN * 2).unwrap();
        assert_eq!(answers.get(2, || Some("b")), Some("b"));
    }

    #[test]
    fn a_user_without_a_name_gets_it() {
        let unix = Sender { via: Via::Unix, address: None, uid: None };
        let mut root = record("", 0);
        Verifier::new(true).look_at(&mut root, &unix);
        assert_eq!(root.text(Field::Username), "root");
        let mut root = record("", 0);
        Verifier::new(false).look_at(&mut root, &unix);
        assert_eq!(root.text(Field::Username), "");
    }
}
