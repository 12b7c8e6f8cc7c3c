//! Elasticsearch and OpenSearch over HTTP: where an index is, who asks, and what the server answers.
//!
//! What is secret stays in here: an [`Index`] is shown without it, and requests carry it in a header, so it comes into
//! no message, metric or name of a file.

use anyhow::{Context, Result, bail};
use base64::prelude::{BASE64_STANDARD, Engine};
use chrono::DateTime;
use serde_json::Value;
use std::fmt;
use std::fs;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;
use ureq::config::ConfigBuilder;
use ureq::http::Response;
use ureq::typestate::AgentScope;
use ureq::{Agent, Body};

/// Where `USER:PASSWORD` is looked for when neither the URL nor a file has it.
const VARIABLE: &str = "CUSTOMS_ELASTICSEARCH_AUTH";
/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(10);
/// The longest answer that is read.
const LONGEST: u64 = 1 << 30;
/// Bytes of an answer that are shown.
const SHOWN: usize = 300;

/// An index of a server. `%Y`, `%m` and `%d` in its name stand for the day of a record.
#[derive(Clone)]
pub struct Index {
    server: String,
    name: String,
    secret: Option<String>,
}

impl FromStr for Index {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "write http://[USER:PASSWORD@]HOST:9200/INDEX".to_string();
        let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
        if !matches!(scheme, "http" | "https") {
            return Err(wrong());
        }
        let (place, name) = rest.trim_end_matches('/').rsplit_once('/').ok_or_else(wrong)?;
        let (secret, place) = match place.rsplit_once('@') {
            Some((secret, place)) => (Some(decoded(secret).ok_or_else(wrong)?), place),
            None => (None, place),
        };
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.%*,+".contains(&byte);
        if place.is_empty() || name.is_empty() || !name.bytes().all(is_plain) {
            return Err(wrong());
        }
        Ok(Index { server: format!("{scheme}://{place}"), name: name.to_string(), secret })
    }
}

/// Without the secret.
impl fmt::Display for Index {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        write!(out, "{}/{}", self.server, self.name)
    }
}

impl Index {
    /// The name for a record of that moment, in microseconds since 1970.
    pub fn on(&self, micros: i64) -> String {
        if !self.name.contains('%') {
            return self.name.clone();
        }
        let day = DateTime::from_timestamp_micros(micros).unwrap_or_default();
        let part = |format: &str| day.format(format).to_string();
        self.name.replace("%Y", &part("%Y")).replace("%m", &part("%m")).replace("%d", &part("%d"))
    }

    /// What matches the names of all days.
    pub fn pattern(&self) -> String {
        match self.name.split_once('%') {
            Some((before, _)) => format!("{before}*"),
            None => self.name.clone(),
        }
    }
}

/// `%40` and the like, as in RFC 3986; `None` for what is no text.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

/// Over TLS, to servers whose certificates the system trusts; `SSL_CERT_FILE` and `SSL_CERT_DIR` name others.
#[cfg(feature = "tls")]
fn with_tls(config: ConfigBuilder<AgentScope>) -> Result<ConfigBuilder<AgentScope>> {
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let tls = ureq::tls::TlsConfig::builder()
        .unversioned_rustls_crypto_provider(provider)
        .root_certs(ureq::tls::RootCerts::PlatformVerifier);
    Ok(config.tls_config(tls.build()))
}

#[cfg(not(feature = "tls"))]
fn with_tls(_: ConfigBuilder<AgentScope>) -> Result<ConfigBuilder<AgentScope>> {
    bail!(
        "https: this `customs` was built without TLS; build it with `--features tls`, or let a proxy on this machine speak it"
    )
}

/// Who asks a server.
pub struct Client {
    agent: Agent,
    server: String,
    authorization: Option<String>,
}

/// What it says.
pub struct Answer {
    /// Of HTTP.
    pub status: u16,
    /// `Null` if it is no JSON.
    pub body: Value,
    text: String,
}

impl Client {
    /// For the server of that index. `secret` is a file with `USER:PASSWORD`, or with the whole value of the header
    /// `Authorization`, as `ApiKey …`; no answer takes longer than `patience`.
    pub fn new(index: &Index, secret: Option<&Path>, patience: Duration) -> Result<Self> {
        let secret = match (&index.secret, secret) {
            (Some(secret), _) => Some(secret.clone()),
            (None, Some(file)) => {
                Some(fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?)
            }
            (None, None) => std::env::var(VARIABLE).ok().filter(|secret| !secret.is_empty()),
        };
        let authorization = secret.map(|secret| match secret.trim() {
            header if header.contains(' ') => header.to_string(),
            pair => format!("Basic {}", BASE64_STANDARD.encode(pair)),
        });
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT))
            .timeout_global(Some(patience));
        let config = if index.server.starts_with("https:") { with_tls(config)? } else { config };
        Ok(Client { agent: config.build().into(), server: index.server.clone(), authorization })
    }

    /// `GET /PATH`
    pub fn get(&self, path: &str) -> Result<Answer> {
        let mut request = self.agent.get(format!("{}/{path}", self.server));
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        self.answer(request.call())
    }

    /// `POST /PATH`; without a body if that is empty.
    pub fn post(&self, path: &str, body: &[u8]) -> Result<Answer> {
        self.send(self.agent.post(format!("{}/{path}", self.server)), body)
    }

    /// `PUT /PATH`
    pub fn put(&self, path: &str, body: &[u8]) -> Result<Answer> {
        self.send(self.agent.put(format!("{}/{path}", self.server)), body)
    }

    /// `DELETE /PATH`
    pub fn delete(&self, path: &str, body: &[u8]) -> Result<Answer> {
        self.send(self.agent.delete(format!("{}/{path}", self.server)).force_send_body(), body)
    }

    fn send(&self, mut request: ureq::RequestBuilder<ureq::typestate::WithBody>, body: &[u8]) -> Result<Answer> {
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        // Lines of objects are asked for under a name of their own; elsewhere there is one line.
        let is_lines = body.ends_with(b"\n");
        let kind = if is_lines { "application/x-ndjson" } else { "application/json" };
        self.answer(if body.is_empty() { request.send_empty() } else { request.content_type(kind).send(body) })
    }

    fn answer(&self, answer: Result<Response<Body>, ureq::Error>) -> Result<Answer> {
        let mut answer = answer.with_context(|| format!("{} does not answer", self.server))?;
        let status = answer.status().as_u16();
        let text = answer.body_mut().with_config().limit(LONGEST).read_to_string();
        let text = text.with_context(|| format!("the answer of {} breaks off", self.server))?;
        Ok(Answer { status, body: serde_json::from_str(&text).unwrap_or_default(), text })
    }
}

impl Answer {
    /// The body of an answer that is no refusal.
    pub fn good(self) -> Result<Value> {
        if (200..300).contains(&self.status) && !self.body.is_null() {
            return Ok(self.body);
        }
        bail!("{}", self.reason())
    }

    /// What is wrong, in the server's words.
    pub fn reason(&self) -> String {
        let status = self.status;
        match &self.body["error"]["reason"] {
            Value::String(reason) => format!("HTTP {status}: {reason}"),
            _ => format!("HTTP {status}: {}", self.text.trim().chars().take(SHOWN).collect::<String>()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_shown_without_its_secret() {
        let index: Index = "http://me:p%40ss@es.example:9200/customs-%Y.%m".parse().unwrap();
        assert_eq!(index.to_string(), "http://es.example:9200/customs-%Y.%m");
        assert_eq!(index.secret.as_deref(), Some("me:p@ss"));
        assert_eq!((index.on(1_795_358_591_586_584), index.pattern()), ("customs-2026.11".into(), "customs-*".into()));
        let below: Index = "https://es.example/search/customs/".parse().unwrap();
        assert_eq!((below.server.as_str(), below.pattern().as_str()), ("https://es.example/search", "customs"));
        for text in ["es.example/customs", "http://es.example:9200", "ftp://a/b", "http:///b", "http://a/b?c"] {
            assert!(text.parse::<Index>().is_err(), "{text}");
        }
    }
}
