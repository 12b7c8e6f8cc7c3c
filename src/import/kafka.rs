//! From a topic of Kafka: what each partition has when the import begins, from where the import before it got to.
//!
//! The offsets are kept beside the dataset, after what was read is in it, and not in the cluster: so whoever removes the
//! dataset begins anew, and what was read twice is there once.

use super::{Importer, lines};
use crate::cli::Import;
use crate::dataset::json::arrival_in;
use crate::dataset::rows::Arrival;
use crate::kafka::Topic;
use crate::place::Note;
use crate::progress::bar;
use crate::record::{Record, message_in, read};
use anyhow::{Context, Result, ensure};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{Message, Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where a partition is read: from here, and as far as it went when the import began.
struct Place {
    next: i64,
    end: i64,
}

/// Reads what was not read before.
pub fn import(topic: &Topic, args: &Import, note: &Note, into: &mut Importer) -> Result<()> {
    let mut config = topic.client(args.kafka_properties.as_deref())?;
    config.set("group.id", "customs-import").set("enable.auto.commit", "false").set("enable.partition.eof", "true");
    let consumer: BaseConsumer = config.create().with_context(|| topic.to_string())?;
    let known: BTreeMap<i32, i64> = note.read().and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    let mut places = places(&consumer, topic, &known)?;
    let mut list = TopicPartitionList::new();
    for (partition, place) in places.iter().filter(|(_, place)| place.next < place.end) {
        list.add_partition_offset(&topic.name, *partition, Offset::Offset(place.next))?;
    }
    let mut open = list.count();
    let total: i64 = places.values().map(|place| (place.end - place.next).max(0)).sum();
    let progress = bar(total as u64, "{spinner} {bar:40} {pos} of {len} messages, {per_sec}, {eta} left");
    consumer.assign(&list)?;
    while open > 0 {
        let message = match consumer.poll(PATIENCE) {
            // The last offsets of a partition need not be messages: a transaction's end has one, too.
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                if let Some(place) = places.get_mut(&partition).filter(|place| place.next < place.end) {
                    place.next = place.end;
                    open -= 1;
                }
                continue;
            }
            message => message.with_context(|| format!("{topic} does not answer"))??,
        };
        let Some(place) = places.get_mut(&message.partition()) else { continue };
        if place.next >= place.end {
            continue; // came after the import began
        }
        place.next = (message.offset() + 1).min(place.end);
        open -= usize::from(place.next == place.end);
        let is_due = match message.payload() {
            Some(payload) => take(payload, &message, into)?,
            None => false,
        };
        progress.inc(1);
        if is_due {
            into.flush()?;
            write(note, &places)?;
        }
    }
    into.flush()?;
    write(note, &places)?;
    progress.finish_and_clear();
    Ok(())
}

fn places(consumer: &BaseConsumer, topic: &Topic, known: &BTreeMap<i32, i64>) -> Result<BTreeMap<i32, Place>> {
    let metadata = consumer.fetch_metadata(Some(&topic.name), PATIENCE).with_context(|| topic.to_string())?;
    let partitions = metadata.topics().first().map(|topic| topic.partitions()).unwrap_or_default();
    ensure!(!partitions.is_empty(), "{topic}: there is no such topic");
    let mut places = BTreeMap::new();
    for partition in partitions {
        let partition = partition.id();
        let marks = consumer.fetch_watermarks(&topic.name, partition, PATIENCE);
        let (first, end) = marks.with_context(|| format!("{topic}, partition {partition}"))?;
        let next = match known.get(&partition) {
            // A topic that was made anew begins anew.
            Some(next) if *next <= end => {
                if *next < first {
                    let lost = first - next;
                    eprintln!(
                        "customs: {topic}, partition {partition}: {lost} messages were deleted before they were read"
                    );
                }
                (*next).max(first)
            }
            _ => first,
        };
        places.insert(partition, Place { next, end });
    }
    Ok(places)
}

fn write(note: &Note, places: &BTreeMap<i32, Place>) -> Result<()> {
    let offsets: BTreeMap<i32, i64> = places.iter().map(|(partition, place)| (*partition, place.next)).collect();
    note.write(&serde_json::to_string(&offsets)?)
}

/// Whether it is time to flush.
fn take(payload: &[u8], message: &impl Message, into: &mut Importer) -> Result<bool> {
    let text = message_in(payload.trim_ascii());
    match read(&text) {
        Ok(record) => {
            let arrival = arrival(payload, &text, &record, message);
            into.take(record, arrival)
        }
        Err(why) => {
            into.reject(&format!("partition {}, offset {}", message.partition(), message.offset()), &why);
            Ok(false)
        }
    }
}

/// What a collector has noted; else when the topic had it.
fn arrival(kept: &[u8], text: &[u8], record: &Record, message: &impl Message) -> Arrival {
    let stamp = message.timestamp().to_millis().filter(|stamp| *stamp > 0).map(|stamp| stamp * 1000);
    match (arrival_in(kept), stamp) {
        (None, Some(time)) => Arrival { time, source: "kafka".to_string(), ..Arrival::default() },
        _ => lines::arrival(kept, text, record, "kafka"),
    }
}
