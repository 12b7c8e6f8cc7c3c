//! Kafka: where a topic is, and how librdkafka is told to reach it.

use anyhow::{Context, Result, bail};
use rdkafka::ClientConfig;
use std::fmt;
use std::fs;
use std::path::Path;
use std::str::FromStr;

/// A topic of a cluster.
#[derive(Clone, Debug)]
pub struct Topic {
    /// Addresses with ports, separated by commas.
    pub brokers: String,
    /// Its name.
    pub name: String,
}

impl FromStr for Topic {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "write BROKER:9092[,BROKER:9092…]/TOPIC".to_string();
        let place = text.strip_prefix("kafka://").unwrap_or(text);
        let (brokers, name) = place.split_once('/').ok_or_else(wrong)?;
        // Kafka's own rule for names.
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if brokers.is_empty() || name.is_empty() || name.len() > 249 || !name.bytes().all(is_plain) {
            return Err(wrong());
        }
        Ok(Topic { brokers: brokers.to_string(), name: name.to_string() })
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        write!(out, "kafka://{}/{}", self.brokers, self.name)
    }
}

impl Topic {
    /// A client's configuration; `properties` is a file with a KEY=VALUE a line, which may hold secrets.
    pub fn client(&self, properties: Option<&Path>) -> Result<ClientConfig> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers).set("client.id", "customs");
        // A broker that is gone for a while is not said by each of librdkafka's threads; `customs` says it.
        config.set("log_level", "2");
        let Some(file) = properties else { return Ok(config) };
        let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        for (number, line) in (1..).zip(text.lines().map(str::trim)) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let Some((key, value)) = line.split_once('=') else {
                bail!("{}:{number}: write KEY=VALUE, as security.protocol=SASL_SSL", file.display());
            };
            config.set(key.trim(), value.trim());
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_brokers_and_a_name() {
        let topic: Topic = "kafka://a:9092,b:9092/customs".parse().unwrap();
        assert_eq!((topic.brokers.as_str(), topic.name.as_str()), ("a:9092,b:9092", "customs"));
        assert_eq!("a:1/x".parse::<Topic>().unwrap().to_string(), "kafka://a:1/x");
        for text in ["a:9092", "/customs", "a:9092/", "a:9092/a b", "a/b/c"] {
            assert!(text.parse::<Topic>().is_err(), "{text}");
        }
    }
}
