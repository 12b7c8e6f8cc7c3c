//! Into a topic of Kafka: a message for each record, whose key is the `id`, so that all that is said of a process is in
//! one partition and in its order.

use super::Sink;
use crate::collect::journal::Position;
use crate::dataset::json;
use crate::dataset::rows::Arrival;
use crate::kafka::Topic;
use crate::record::Record;
use anyhow::{Context, Result, bail};
use rdkafka::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a message is tried before the feed is told.
const PATIENCE: Duration = Duration::from_secs(30);

/// The sink.
pub struct IntoTopic {
    topic: Topic,
    producer: BaseProducer<Deliveries>,
    /// What no broker has confirmed.
    messages: Vec<Message>,
    kept: u64,
}

struct Message {
    key: String,
    value: String,
}

/// What became of messages, by their places in [`IntoTopic::messages`].
#[derive(Default)]
struct Deliveries(Mutex<Vec<(usize, Option<KafkaError>)>>);

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Box<usize>;

    fn delivery(&self, result: &DeliveryResult, place: Box<usize>) {
        let failure = result.as_ref().err().map(|(error, _)| error.clone());
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((*place, failure));
    }
}

impl IntoTopic {
    /// Of these brokers; they need not be there yet.
    pub fn new(topic: &Topic, properties: Option<&Path>) -> Result<Self> {
        let mut config = topic.client(properties)?;
        config.set("enable.idempotence", "true").set("message.timeout.ms", PATIENCE.as_millis().to_string());
        config.set("compression.type", "lz4").set("linger.ms", "50");
        let producer = config.create_with_context(Deliveries::default()).with_context(|| topic.to_string())?;
        Ok(IntoTopic { topic: topic.clone(), producer, messages: Vec::new(), kept: 0 })
    }

    fn deliveries(&self) -> Vec<(usize, Option<KafkaError>)> {
        std::mem::take(&mut *self.producer.context().0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Sink for IntoTopic {
    fn name(&self) -> String {
        self.topic.to_string()
    }

    fn take(&mut self, record: &Record, arrival: &Arrival) -> Result<()> {
        let key = format!("{:032x}", u128::from_be_bytes(record.id));
        self.messages.push(Message { key, value: json::object(record, arrival).to_string() });
        Ok(())
    }

    fn commit(&mut self, _: Position) -> Result<u64> {
        let mut done = vec![false; self.messages.len()];
        let mut why = None;
        for (place, message) in self.messages.iter().enumerate() {
            let mut record = BaseRecord::with_opaque_to(&self.topic.name, Box::new(place));
            record = record.key(&message.key).payload(&message.value);
            while let Err((error, back)) = self.producer.send(record) {
                if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                    why = Some(error);
                    break;
                }
                self.producer.poll(Duration::from_millis(100));
                record = back;
            }
            if why.is_some() {
                break;
            }
        }
        // Each comes to an end by itself within the time that a message has.
        let end = Instant::now() + PATIENCE * 2;
        while self.producer.in_flight_count() > 0 && Instant::now() < end {
            self.producer.poll(Duration::from_millis(100));
        }
        self.producer.poll(Duration::ZERO);
        for (place, failure) in self.deliveries() {
            match failure {
                None => {
                    if let Some(done) = done.get_mut(place) {
                        *done = true;
                    }
                }
                Some(error) => why = why.or(Some(error)),
            }
        }
        let before = self.messages.len();
        let mut done = done.into_iter();
        self.messages.retain(|_| !done.next().unwrap_or_default());
        self.kept += (before - self.messages.len()) as u64;
        if self.messages.is_empty() {
            return Ok(std::mem::take(&mut self.kept));
        }
        let why = why.map_or("no answer".to_string(), |error| error.to_string());
        bail!("{} of {before} messages were not confirmed: {why}", self.messages.len())
    }

    fn most(&self) -> usize {
        10_000
    }
}
