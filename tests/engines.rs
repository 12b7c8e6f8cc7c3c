//! Through every engine that a site can put beside the collector, records come out as they went in, and none is lost
//! while an engine is away.

use crate::support::collector::{Collector, Dataset, Row, id, message};
use crate::support::engines::{Gate, OpenSearch, Rsyslogd, SyslogNg, free_port};
use crate::support::hosts;
use crate::support::library::Library;
use crate::support::trial::{PACKAGES, SITE, bare, python};
use crate::support::wait::{wait_for, wait_long_for};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// `customs import`: what it answered.
fn import(out: &Path, arguments: &[&str]) -> Value {
    let mut command = bare(env!("CARGO_BIN_EXE_customs"));
    let output = command.args(["import", "--json", "--out"]).arg(out).args(arguments).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error} {}", String::from_utf8_lossy(&output.stdout));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Messages of all kinds: a real process's, one with everything that makes trouble, parts, and repeated reports.
fn messages() -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sent");
    let site = SITE.replace("udp://{receiver}", &format!("file://{}", file.display()));
    let library = Library::compile(&site, PACKAGES);
    let mut command = bare(python());
    command.args(["-c", "import sqlite3"]).env("LD_PRELOAD", library.path()).env("SLURM_JOB_ID", "4711");
    assert!(command.status().unwrap().success());
    let real = fs::read(&file).unwrap().trim_ascii().to_vec();
    let mut messages = vec![real];
    messages.push(message(|record| {
        record["id"] = json!(id(1));
        record["main"] = json!("/home/größe/a \"b\" \\ \t\u{1}\u{7f}/<13>1 {x} %s.py");
        record["job_id"] = json!("quote\" back\\slash\nline");
        record["list"] = json!("a \"list\"");
        record["start"] = json!("");
        record["elapsed"] = json!(1234.567);
        record["versions"] = json!({ "numpy": "2.1.0", "astropy.io.fits": "7", "a": "1\"\\" });
        record["direct"] = json!(["numpy"]);
        record["libraries"] = json!(["openblas"]);
        record["rate"] = json!(0.01);
        record["weight"] = json!(3.3333);
        record["canary"] = json!("c-1");
        record["parent"] = json!(id(99));
        record["uid"] = json!(4_294_967_295_u32);
    }));
    for part in 1..=3 {
        messages.push(message(|record| {
            record["id"] = json!(id(2));
            record["start"] = json!("2026-11-22T14:43:11.586584Z");
            record["parts"] = json!(3);
            record["part"] = json!(part);
            record["packages"] = json!([format!("part{part}")]);
        }));
    }
    for (seq, exit) in [(0, "exec"), (2, "normal"), (1, "exec")] {
        messages.push(message(|record| {
            record["id"] = json!(id(3));
            record["seq"] = json!(seq);
            record["exit"] = json!(exit);
        }));
    }
    messages
}

/// The rows that these messages must become.
fn expected(messages: &[Vec<u8>]) -> BTreeMap<String, Row> {
    let dataset = Dataset::new();
    let file = dataset.path().with_extension("txt");
    fs::write(&file, messages.join(&b"\n"[..])).unwrap();
    import(&dataset.path(), &["--from", file.to_str().unwrap()]);
    by_id(&dataset)
}

/// Rows without what is said of their way, of each process the one that counts: files that were not merged yet have all
/// its reports. The names of a record that came in parts are in whatever order these came.
fn by_id(dataset: &Dataset) -> BTreeMap<String, Row> {
    let mut rows = BTreeMap::new();
    for mut row in dataset.rows() {
        for column in ["arrived", "source", "host_verified", "uid_verified", "date"] {
            row.remove(column).unwrap();
        }
        let mut names: Vec<&str> = row["packages"].trim_matches(['[', ']']).split(", ").collect();
        names.sort_unstable();
        let names = names.join(" ");
        row.insert("packages".to_string(), names);
        let seq = |row: &Row| row["seq"].parse::<u32>().unwrap();
        let id = row["id"].clone();
        if rows.get(&id).is_none_or(|known| seq(known) < seq(&row)) {
            rows.insert(id, row);
        }
    }
    rows
}

/// The rows of all processes that were told in one message each: of the others, files that were not merged yet have more,
/// and which message was here first may differ, and with it `arrived`.
fn told_once(dataset: &Dataset) -> Vec<Row> {
    let mut rows = dataset.rows();
    rows.retain(|row| row["id"] != id(2) && row["id"] != id(3));
    rows.sort();
    rows
}

/// Everything is as it was sent.
fn compare(found: &BTreeMap<String, Row>, expected: &BTreeMap<String, Row>) {
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    compare_some(found, expected);
}

/// The same, where others were sent as well.
fn compare_some(found: &BTreeMap<String, Row>, expected: &BTreeMap<String, Row>) {
    for (id, row) in expected {
        for (column, value) in row {
            assert_eq!(&found[id][column], value, "{column} of {id}");
        }
    }
    assert_eq!(expected.len(), 4);
}

/// Three thousand more, of a process each.
fn many(collector: &Collector) {
    for number in 1000..4000 {
        collector.send(&message(|record| record["id"] = json!(id(number))));
        if number % 100 == 0 {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// How long a server is away in the middle of a steady load: `CUSTOMS_LONG=1` for three minutes.
fn outage() -> Duration {
    Duration::from_secs(if std::env::var_os("CUSTOMS_LONG").is_some() { 180 } else { 4 })
}

/// Three hundred records a second, while a server is there, then away, then there again: how many.
fn through_an_outage(collector: &Collector, sink: &str, go: impl FnOnce(), come: impl FnOnce()) -> u64 {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(collector.address("udp")).unwrap();
    let mut number = 0;
    // How many it is by then.
    let mut load = |time: Duration| {
        let (start, before) = (Instant::now(), number);
        while start.elapsed() < time {
            if number < before + (start.elapsed().as_secs_f64() * 300.0) as u64 {
                socket.send(&message(|record| record["id"] = json!(id(10_000 + number)))).unwrap();
                number += 1;
            } else {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        number
    };
    let all_parsed = |number: u64| collector.wait_for("customs_parsed_total", |parsed| parsed == number as f64);
    let before = load(Duration::from_secs(2));
    go();
    let number = load(outage());
    // It is away: what came meanwhile waits.
    all_parsed(number);
    let waiting = number as f64 - collector.metric(sink);
    assert!(waiting >= (number - before) as f64 && number > before, "{waiting} wait of {number}, {before} before");
    come();
    let number = load(Duration::from_secs(2));
    all_parsed(number);
    number
}

/// Of all that was sent, each row is there, once, in both, and they are equal; nothing is left in the journal.
fn compare_after_outage(collector: Collector, sink: &str, sent: u64, kept: &Dataset, found: &Dataset) {
    collector.wait_for("customs_backlog_bytes", |bytes| bytes < 1e6);
    let (failures, memory) = (collector.metric(&sink.replace("written", "failures")), collector.peak_memory());
    collector.stop();
    let [kept, found] = [kept, found].map(|dataset| {
        let mut rows = dataset.rows();
        rows.sort();
        rows
    });
    let ids: BTreeSet<&str> = found.iter().map(|row| row["id"].as_str()).collect();
    assert_eq!((found.len() as u64, ids.len() as u64), (sent, sent));
    assert!(kept == found, "{:?}", kept.iter().zip(&found).find(|(kept, found)| kept != found));
    let away = outage().as_secs();
    // A client of Kafka tries for longer than the short outage before it gives up.
    assert!((failures >= 1.0 || away < 10) && memory < 256, "{failures} failures, {memory} MiB");
    println!(
        "{sink}: away for {away} s, {failures} tries failed, {sent} sent, {} there, at most {memory} MiB",
        found.len()
    );
}

/// As the library does.
fn send(messages: &[Vec<u8>], socket: &Path) {
    wait_for("the relay's socket", || socket.exists().then_some(()));
    let sender = UnixDatagram::unbound().unwrap();
    for message in messages {
        wait_for("the relay", || sender.send_to(message, socket).ok());
    }
}

fn is_rsyslog_here(module: &str) -> bool {
    hosts::is_here("/usr/sbin/rsyslogd", "rsyslog")
        && (module.is_empty() || hosts::is_here(&format!("/usr/lib/x86_64-linux-gnu/rsyslog/{module}.so"), "rsyslog"))
}

#[test]
fn records_come_through_rsyslogs_relay_and_server_into_the_dataset_as_they_were() {
    if !is_rsyslog_here("") {
        return;
    }
    let port = free_port().to_string();
    let (messages, dataset) = (messages(), Dataset::new());
    let mut relay = Rsyslogd::start("rsyslog/relay.conf", &[("customs.example.org", "127.0.0.1"), ("6514", &port)]);
    // Nobody is there yet: the first half waits on the relay's disk, also while the relay itself is away.
    let (early, late) = messages.split_at(messages.len() / 2);
    send(early, &relay.file("log.sock"));
    // rsyslogd takes what is in its socket before it ends only if it has begun to.
    std::thread::sleep(Duration::from_secs(1));
    relay.stop();
    let central = Rsyslogd::start("rsyslog/central.conf", &[("0.0.0.0", "127.0.0.1"), ("6514", &port)]);
    let lines = central.file("customs.json");
    let follow = ["--follow", lines.to_str().unwrap(), "--metrics", "127.0.0.1:0"];
    let collector = Collector::start(&dataset.path(), &follow);
    relay.begin();
    send(late, &relay.file("log.sock"));
    let count = messages.len() as f64;
    collector.wait_for("customs_parsed_total", |parsed| parsed == count);
    collector.stop();
    let expected = expected(&messages);
    compare(&by_id(&dataset), &expected);
    // The same file, imported.
    let imported = Dataset::new();
    import(&imported.path(), &["--from", lines.to_str().unwrap()]);
    compare(&by_id(&imported), &expected);
    let told: Vec<Row> = imported.rows();
    assert!(told.iter().all(|row| row["source"] == "127.0.0.1"), "as rsyslogd has noted");
}

#[test]
fn records_come_through_syslog_ngs_relay_and_server_into_the_dataset_as_they_were() {
    if !SyslogNg::is_here() {
        return;
    }
    let (port, frames) = (free_port().to_string(), free_port().to_string());
    let (messages, dataset) = (messages(), Dataset::new());
    let words = [("0.0.0.0", "127.0.0.1"), ("6514", port.as_str()), ("port(6515)", &format!("port({frames})"))];
    let central = SyslogNg::start("syslog-ng/central.conf", &words);
    let relay = SyslogNg::start("syslog-ng/relay.conf", &[("customs.example.org", "127.0.0.1"), ("6514", &port)]);
    let lines = central.file("customs.log");
    let follow = ["--follow", lines.to_str().unwrap(), "--metrics", "127.0.0.1:0"];
    let collector = Collector::start(&dataset.path(), &follow);
    send(&messages, &relay.file("log.sock"));
    let count = messages.len() as f64;
    collector.wait_for("customs_parsed_total", |parsed| parsed == count);
    // And in frames, as rsyslog's relay sends them: the same once more, of which nothing new comes.
    let mut stream = wait_for("the port", || TcpStream::connect(format!("127.0.0.1:{frames}")).ok());
    for message in &messages {
        write!(stream, "{} ", message.len()).unwrap();
        stream.write_all(message).unwrap();
    }
    collector.wait_for("customs_duplicate_total", |again| again == count);
    collector.stop();
    compare(&by_id(&dataset), &expected(&messages));
}

#[test]
fn records_come_through_rsyslogd_and_an_index_into_the_dataset_as_they_were() {
    if !is_rsyslog_here("omelasticsearch") {
        return;
    }
    let Some(server) = OpenSearch::start() else { return };
    let gate = Gate::before(server.address);
    let template = crate::support::engines::shipped("opensearch/index-template.json", &[]);
    assert_eq!(server.ask("PUT", "_index_template/customs", template.trim())["acknowledged"], true);
    let (port, there) = (free_port().to_string(), gate.address.port().to_string());
    let words = [("0.0.0.0", "127.0.0.1"), ("6514", port.as_str()), ("9200", &there)];
    let central = Rsyslogd::start("rsyslog/central-elasticsearch.conf", &words);
    let messages = messages();
    let send = |messages: &[Vec<u8>]| {
        let mut stream = wait_for("rsyslogd", || TcpStream::connect(format!("127.0.0.1:{port}")).ok());
        for message in messages {
            write!(stream, "{} ", message.len()).unwrap();
            stream.write_all(message).unwrap();
        }
    };
    let (early, late) = messages.split_at(messages.len() / 2);
    send(&[early, &[b"<134>1 - nid1 customs - - - {\"id\": \"x\"} {\n}".to_vec()]].concat());
    let count = early.len() as u64;
    wait_for("the first half", || (server.count("customs-rsyslog") == count).then_some(()));
    // The server goes away and comes back; and something is sent twice.
    gate.shut();
    send(&late[..1]);
    send(late);
    std::thread::sleep(Duration::from_secs(2));
    gate.open();
    let count = messages.len() as u64;
    wait_for("the second half", || (server.count("customs-rsyslog") >= count).then_some(()));
    drop(central);
    assert_eq!(server.count("customs-rsyslog"), count, "what is sent twice is there once");
    let dataset = Dataset::new();
    let answer = import(&dataset.path(), &["--from", &format!("http://{}/customs-rsyslog", server.address)]);
    assert_eq!(answer["rejected"], 0, "{answer}");
    compare(&by_id(&dataset), &expected(&messages));
}

#[test]
fn the_collector_keeps_an_index_as_it_keeps_the_dataset_while_the_server_comes_and_goes() {
    let Some(server) = OpenSearch::start() else { return };
    let gate = Gate::before(server.address);
    gate.shut();
    let (messages, dataset) = (messages(), Dataset::new());
    let index = format!("http://{}/customs-%Y", gate.address);
    let sink = format!("customs_written_total{{sink=\"elasticsearch:{index}\"}}");
    let failures = sink.replace("written", "failures");
    // Whoever wants the template to be put needs the server at the start.
    gate.open();
    let arguments = ["--elasticsearch", index.as_str(), "--put-template"];
    let collector = Collector::on_loopback(&dataset.path(), &arguments);
    gate.shut();
    for message in &messages {
        collector.send(message);
    }
    collector.wait_for(&failures, |count| count >= 2.0);
    gate.open();
    collector.wait_for(&sink, |count| count >= 4.0);
    // In the middle of it, and again in another order.
    gate.shut();
    for message in messages.iter().rev() {
        collector.send(message);
    }
    many(&collector);
    gate.open();
    wait_for("all of them", || (server.count("customs-*") == 3004).then_some(()));
    collector.stop();
    let template = server.ask("GET", "_index_template/customs", "");
    let template = &template["index_templates"][0]["index_template"];
    assert_eq!(template["index_patterns"], json!(["customs-*"]));
    assert_eq!(template["template"]["mappings"]["properties"]["versions"]["type"], "flat_object");
    let found = server.ask("GET", "customs-*/_search?size=3004", "");
    let bytes = found["hits"]["hits"].as_array().unwrap().iter();
    let bytes: usize = bytes.map(|hit| hit["_source"].to_string().len()).sum();
    println!("{} bytes of JSON a document", bytes / 3004);

    // What is imported from the index is what the collector keeps, in every column: also when and from where it came.
    let imported = Dataset::new();
    let from = format!("http://{}/customs-*", server.address);
    let answer = import(&imported.path(), &["--from", &from]);
    assert_eq!((&answer["read"], &answer["kept"]), (&json!(3004), &json!(3004)));
    let (kept, found) = (told_once(&dataset), told_once(&imported));
    assert_eq!(kept.len(), 3002);
    assert!(kept == found, "{:?}", kept.iter().zip(&found).find(|(kept, found)| kept != found));
    compare_some(&by_id(&imported), &expected(&messages));
    // Again: of what was read before, that of the last day is read, and nothing is new.
    let answer = import(&imported.path(), &["--from", &from]);
    assert_eq!((&answer["kept"], &answer["rejected"]), (&json!(0), &json!(0)), "{answer}");
}

#[test]
fn an_index_that_is_away_for_minutes_has_every_record_once_when_it_is_back() {
    let Some(server) = OpenSearch::start() else { return };
    let gate = Gate::before(server.address);
    let (kept, found) = (Dataset::new(), Dataset::new());
    let index = format!("http://{}/customs-%Y", gate.address);
    let collector = Collector::on_loopback(&kept.path(), &["--elasticsearch", &index, "--put-template"]);
    let sink = format!("customs_written_total{{sink=\"elasticsearch:{index}\"}}");
    let sent = through_an_outage(&collector, &sink, || gate.shut(), || gate.open());
    // The last try may have been a minute ago.
    wait_long_for("all of them", || (server.count("customs-*") == sent).then_some(()));
    let answer = import(&found.path(), &["--from", &format!("http://{}/customs-*", server.address)]);
    assert_eq!((&answer["read"], &answer["rejected"]), (&json!(sent), &json!(0)), "{answer}");
    compare_after_outage(collector, &sink, sent, &kept, &found);
}

#[test]
fn an_import_of_an_index_goes_on_where_it_was_and_finds_what_came_late() {
    let Some(server) = OpenSearch::start() else { return };
    let template = crate::support::engines::shipped("opensearch/index-template.json", &[]);
    server.ask("PUT", "_index_template/customs", template.trim());
    // Two pages, in which thousands have arrived at the same moment.
    let put = |numbers: std::ops::Range<u64>, arrived: &str| {
        let mut lines = String::new();
        for number in numbers {
            let text = message(|record| record["id"] = json!(id(number)));
            let text = String::from_utf8(text).unwrap();
            let (_, body) = text.split_once(" - {").unwrap();
            lines += &format!("{{\"index\":{{\"_id\":\"{number}\"}}}}\n");
            lines += &format!("{{\"arrived\":\"{arrived}\",\"source\":\"192.0.2.1\",{body}\n");
        }
        assert_eq!(server.ask("POST", "customs-1/_bulk", &lines)["errors"], false);
        server.ask("POST", "customs-1/_refresh", "{}");
    };
    put(0..5_500, "2026-11-20T10:00:00.000001Z");
    put(5_500..6_000, "2026-11-22T10:00:00.000002Z");
    let dataset = Dataset::new();
    let from = format!("http://{}/customs-1", server.address);
    let from = ["--from", from.as_str()];
    assert_eq!(import(&dataset.path(), &from)["kept"], 6_000);
    // A process that began long ago, a message that was kept back for some hours, and new ones.
    put(6_000..6_001, "2026-11-21T22:00:00Z");
    put(6_001..6_011, "2026-11-22T11:00:00Z");
    let answer = import(&dataset.path(), &from);
    assert_eq!((&answer["read"], &answer["kept"]), (&json!(511), &json!(11)));
    let answer = import(&dataset.path(), &[&from[..], &["--overlap", "0"]].concat());
    assert_eq!((&answer["read"], &answer["kept"]), (&json!(10), &json!(0)));
    let answer = import(&dataset.path(), &[&from[..], &["--again"]].concat());
    assert_eq!((&answer["read"], &answer["kept"]), (&json!(6_011), &json!(0)));
    assert_eq!(dataset.rows().len(), 6_011);
}

/// HTTP status and body, made of the lines of a request.
type Told = Box<dyn Fn(&[Value]) -> (u16, Value) + Send>;

/// A server that does as it is told: it answers each request with the next of `answers`, which make an answer of the
/// lines of the request. Gives what it was asked.
fn server(answers: Vec<Told>) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let noted = asked.clone();
    std::thread::spawn(move || {
        let mut answers = answers.into_iter();
        for stream in listener.incoming().flatten() {
            let mut stream = BufReader::new(stream);
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") && stream.read_line(&mut head).unwrap() > 0 {}
            let lower = head.to_lowercase();
            let length = lower.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
            let mut body = vec![0; length.parse().unwrap()];
            stream.read_exact(&mut body).unwrap();
            let lines: Vec<Value> =
                body.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
            noted.lock().unwrap().push(head);
            let Some(answer) = answers.next() else { return };
            let (status, answer) = answer(&lines);
            let answer = answer.to_string();
            let length = answer.len();
            let head = format!("HTTP/1.1 {status} x\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
            stream.get_mut().write_all((head + &answer).as_bytes()).unwrap();
        }
    });
    (address, asked)
}

#[test]
fn what_a_server_has_no_time_for_is_sent_again_and_what_it_refuses_is_kept_aside() {
    // By the number of the document: everything is taken, but for what is told.
    let items = |told: &'static [(usize, u16)]| -> Told {
        Box::new(move |lines| {
            let items: Vec<Value> = lines
                .chunks(2)
                .map(|pair| {
                    let name = pair[0]["index"]["_id"].as_str().unwrap();
                    let number = usize::from_str_radix(&name[..32], 16).unwrap();
                    let status = told.iter().find(|(one, _)| *one == number).map_or(201, |(_, status)| *status);
                    json!({ "index": { "_id": name, "status": status, "error": { "reason": "as told" } } })
                })
                .collect();
            (200, json!({ "errors": true, "items": items }))
        })
    };
    let whole = |status: u16| -> Told { Box::new(move |_| (status, json!({ "error": { "reason": "as told" } }))) };
    let answers =
        vec![whole(503), whole(429), items(&[(0, 429), (1, 400), (2, 409), (3, 503)]), items(&[(3, 429)]), items(&[])];
    let (address, asked) = server(answers);
    let dataset = Dataset::new();
    let secret = "s3cret-w0rd";
    let index = format!("http://me:{secret}@{address}/customs");
    let collector = Collector::on_loopback(&dataset.path(), &["--elasticsearch", &index]);
    let sink = format!("{{sink=\"elasticsearch:http://{address}/customs\"}}");
    for number in 0..5 {
        collector.send(&message(|record| record["id"] = json!(id(number))));
    }
    collector.wait_for(&format!("customs_written_total{sink}"), |count| count == 4.0);
    assert_eq!(collector.metric(&format!("customs_refused_total{sink}")), 1.0);
    let metrics = collector.page("/metrics");
    let said = collector.stop();
    assert!(said.contains("HTTP 503: as told; trying again in 1 s"), "{said}");
    let asked = asked.lock().unwrap();
    assert_eq!(asked.len(), 5);
    assert!(asked.iter().all(|head| head.contains("Basic bWU6czNjcmV0LXcwcmQ=")), "{asked:?}");
    let own = dataset.path().join("_customs");
    let mut everything = said + &metrics;
    let mut folders = vec![own];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            everything += entry.to_str().unwrap();
            match entry.is_dir() {
                true => folders.push(entry),
                false => everything += &String::from_utf8_lossy(&fs::read(entry).unwrap()),
            }
        }
    }
    assert!(everything.contains("\"status\":400") && everything.contains(&id(1)));
    assert!(!everything.contains(secret));
}

/// Without the feature, the collector says at once what it lacks.
#[cfg(not(feature = "tls"))]
#[test]
fn https_names_the_feature_that_it_needs() {
    let dataset = Dataset::new();
    let mut command = bare(env!("CARGO_BIN_EXE_customs"));
    command.args(["import", "--from", "https://localhost:1/customs", "--out"]).arg(dataset.path());
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(2) && said.contains("--features tls"), "{said}");
}

#[cfg(feature = "tls")]
mod tls {
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    /// A key, and a certificate for localhost by an authority of its own, in a folder: `key`, `certificate`, `authority`.
    fn certify(folder: &Path) {
        let openssl = |line: &str| {
            let output = Command::new("openssl").args(line.split(' ')).current_dir(folder).output().unwrap();
            assert!(output.status.success(), "openssl {line}: {}", String::from_utf8_lossy(&output.stderr));
        };
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2";
        openssl(&format!("req -x509 {key} -subj /CN=authority -keyout authority.key -out authority"));
        openssl(&format!("req {key} -subj /CN=localhost -keyout key -out request").replace(" -days 2", ""));
        std::fs::write(folder.join("about"), "subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n").unwrap();
        openssl(
            "x509 -req -in request -CA authority -CAkey authority.key -CAcreateserial -days 2 -extfile about -out certificate",
        );
    }

    #[test]
    fn tls_is_spoken_with_a_server_that_is_trusted_and_with_no_other() {
        let Some(server) = OpenSearch::start() else { return };
        let folder = tempfile::tempdir().unwrap();
        certify(folder.path());
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/tls.py");
        let mut command = bare(python());
        command.arg(program).args(["certificate", "key", &server.address.port().to_string()]);
        let mut terminator = command.current_dir(folder.path()).stdout(Stdio::piped()).spawn().unwrap();
        let mut port = String::new();
        BufReader::new(terminator.stdout.take().unwrap()).read_line(&mut port).unwrap();
        let index = format!("https://localhost:{}/customs", port.trim());
        let authority = folder.path().join("authority");

        let (messages, dataset) = (messages(), Dataset::new());
        let mut command = bare(env!("CARGO_BIN_EXE_customs"));
        command.args([
            "collect",
            "--listen",
            "udp://127.0.0.1:0",
            "--metrics",
            "127.0.0.1:0",
            "--elasticsearch",
            &index,
        ]);
        let collector = Collector::from({
            command.arg("--out").arg(dataset.path()).env("SSL_CERT_FILE", &authority);
            command
        });
        for message in &messages {
            collector.send(message);
        }
        let count = expected(&messages).len() as u64;
        wait_for("the index", || (server.count("customs") == count).then_some(()));
        collector.stop();

        let import = |trusts: bool| {
            let copy = Dataset::new();
            let mut command = bare(env!("CARGO_BIN_EXE_customs"));
            command.args(["import", "--from", &index, "--out"]).arg(copy.path());
            if trusts {
                command.env("SSL_CERT_FILE", &authority);
            }
            let output = command.output().unwrap();
            (output.status.code(), String::from_utf8(output.stderr).unwrap(), by_id(&copy).len() as u64)
        };
        let (status, said, found) = import(true);
        assert_eq!((status, found), (Some(0), count), "{said}");
        let (status, said, found) = import(false);
        assert!(status == Some(2) && found == 0 && said.to_lowercase().contains("certificate"), "{status:?} {said}");
        terminator.kill().unwrap();
        terminator.wait().unwrap();
    }
}

#[cfg(feature = "kafka")]
mod kafka {
    use super::*;
    use crate::support::engines::Kafka;

    #[test]
    fn records_come_through_rsyslogd_and_a_topic_into_the_dataset_as_they_were() {
        if !is_rsyslog_here("omkafka") {
            return;
        }
        let kafka = Kafka::start();
        let (port, broker) = (free_port().to_string(), kafka.brokers.clone());
        let words = [("0.0.0.0", "127.0.0.1"), ("6514", port.as_str()), ("127.0.0.1:9092", &broker)];
        let _central = Rsyslogd::start("rsyslog/central-kafka.conf", &words);
        let messages = messages();
        let mut stream = wait_for("rsyslogd", || TcpStream::connect(format!("127.0.0.1:{port}")).ok());
        for message in &messages {
            write!(stream, "{} ", message.len()).unwrap();
            stream.write_all(message).unwrap();
        }
        let dataset = Dataset::new();
        let from = format!("kafka://{broker}/customs");
        let count = messages.len() as u64;
        let mut read = 0;
        wait_for("all of them", || {
            let answer = import(&dataset.path(), &["--from", &from]);
            assert_eq!(answer["rejected"], 0, "{answer}");
            read += answer["read"].as_u64().unwrap();
            // Parts that are read by different imports count as records, until they are joined.
            (read >= count - 2).then_some(())
        });
        std::thread::sleep(Duration::from_secs(1));
        import(&dataset.path(), &["--from", &from]);
        compare(&by_id(&dataset), &expected(&messages));
    }

    #[test]
    fn a_topic_that_is_away_for_minutes_has_every_record_when_it_is_back() {
        let kafka = Kafka::start();
        let (kept, found) = (Dataset::new(), Dataset::new());
        let topic = format!("kafka://{}/customs", kafka.brokers);
        let sink = format!("customs_written_total{{sink=\"{topic}\"}}");
        let collector = Collector::on_loopback(&kept.path(), &["--kafka", &topic]);
        let sent = through_an_outage(&collector, &sink, || kafka.go_down(), || kafka.come_up());
        wait_long_for("all of them", || (collector.metric(&sink) == sent as f64).then_some(()));
        let answer = import(&found.path(), &["--from", topic.as_str()]);
        assert_eq!((&answer["kept"], &answer["rejected"]), (&json!(sent), &json!(0)), "{answer}");
        println!("{} messages are in the topic", answer["read"]);
        compare_after_outage(collector, &sink, sent, &kept, &found);
    }

    #[test]
    fn the_collector_fills_a_topic_while_the_brokers_come_and_go_and_the_topic_a_dataset() {
        let kafka = Kafka::start();
        let (messages, dataset) = (messages(), Dataset::new());
        let topic = format!("kafka://{}/customs", kafka.brokers);
        let sink = format!("customs_written_total{{sink=\"{topic}\"}}");
        let collector = Collector::on_loopback(&dataset.path(), &["--kafka", &topic]);
        for message in &messages {
            collector.send(message);
        }
        // Every report is a message; parts are joined.
        let records = messages.len() as f64 - 2.0;
        collector.wait_for(&sink, |count| count == records);
        let imported = Dataset::new();
        let from = ["--from", topic.as_str()];
        let answer = import(&imported.path(), &from);
        assert_eq!((answer["read"].as_f64(), answer["kept"].as_f64()), (Some(records), Some(4.0)), "{answer}");
        compare(&by_id(&imported), &expected(&messages));

        kafka.go_down();
        many(&collector);
        collector.wait_for("customs_parsed_total", |count| count == messages.len() as f64 + 3000.0);
        std::thread::sleep(Duration::from_secs(3));
        kafka.come_up();
        collector.wait_for(&sink, |count| count == records + 3000.0);
        collector.stop();
        // From where it was, and what a client that was cut off has sent twice is there once.
        let answer = import(&imported.path(), &from);
        assert_eq!((&answer["kept"], &answer["rejected"]), (&json!(3000), &json!(0)), "{answer}");
        assert_eq!(import(&imported.path(), &from)["read"], 0);
        let (kept, found) = (told_once(&dataset), told_once(&imported));
        assert_eq!(kept.len(), 3002);
        assert!(kept == found, "{:?}", kept.iter().zip(&found).find(|(kept, found)| kept != found));
    }
}
