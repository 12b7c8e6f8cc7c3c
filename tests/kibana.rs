//! The dashboard for sites that look at an index: it fits what is indexed, and its panels show what `customs report`
//! counts.

use crate::support::collector::{Collector, Dataset, id, message};
use crate::support::engines::{OpenSearch, shipped};
use crate::support::trial::bare;
use crate::support::wait::wait_for;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The objects of the file, each with the texts of JSON in its attributes as what they say.
fn objects() -> Vec<Value> {
    let file = shipped("dashboards/customs.ndjson", &[]);
    let open = |line: &str| {
        let mut object: Value = serde_json::from_str(line).unwrap();
        assert_eq!(object.to_string(), line, "keys in order and no blanks, so that changes are seen");
        let attributes = &mut object["attributes"];
        for place in [
            "/fields",
            "/visState",
            "/uiStateJSON",
            "/optionsJSON",
            "/panelsJSON",
            "/kibanaSavedObjectMeta/searchSourceJSON",
        ] {
            if let Some(text) = attributes.pointer_mut(place) {
                *text = serde_json::from_str(text.as_str().unwrap()).unwrap();
            }
        }
        object
    };
    file.lines().map(open).collect()
}

fn is_a(object: &Value, kind: &str) -> bool {
    object["type"] == kind
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Filters of a dashboard or a panel.
fn filters(object: &Value) -> &[Value] {
    list(&object["attributes"]["kibanaSavedObjectMeta"]["searchSourceJSON"]["filter"])
}

/// The name and the type of every field of a product's template.
fn template(product: &str) -> BTreeMap<String, String> {
    let template: Value = serde_json::from_str(&shipped(&format!("{product}/index-template.json"), &[])).unwrap();
    let properties = template["template"]["mappings"]["properties"].as_object().unwrap();
    properties.iter().map(|(name, field)| (name.clone(), text(&field["type"]).to_string())).collect()
}

/// Every `(key, value)` under a value, at whatever depth.
fn pairs<'a>(value: &'a Value, found: &mut Vec<(&'a str, &'a Value)>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                found.push((key, value));
                pairs(value, found);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| pairs(value, found)),
        _ => {}
    }
}

#[test]
fn the_dashboard_can_be_imported_and_refers_to_nothing_else() {
    let objects = objects();
    let names: BTreeSet<(&str, &str)> =
        objects.iter().map(|object| (text(&object["type"]), text(&object["id"]))).collect();
    assert_eq!(names.len(), objects.len(), "two objects of one id");
    // The newest that OpenSearch Dashboards knows; it refuses what is newer. Kibana brings them up to its own.
    let known = json!({ "dashboard": "7.9.3", "index-pattern": "7.6.0", "visualization": "7.10.0" });
    for object in &objects {
        let (kind, name) = (text(&object["type"]), text(&object["id"]));
        assert_eq!(object["migrationVersion"], json!({ kind: known[kind] }), "{name}");
        // The server's own; Kibana forbids these in what is to be made.
        for key in ["version", "updated_at", "namespaces", "coreMigrationVersion", "typeMigrationVersion"] {
            assert!(object.get(key).is_none(), "{name} has {key}");
        }
        let references = list(&object["references"]);
        for reference in references {
            let target = (text(&reference["type"]), text(&reference["id"]));
            assert!(names.contains(&target), "{name}: {target:?} is not in the file");
        }
        let mut inside = Vec::new();
        pairs(&object["attributes"], &mut inside);
        let used: Vec<&str> =
            inside.iter().filter(|(key, _)| key.ends_with("RefName")).map(|(_, name)| text(name)).collect();
        let given: BTreeSet<&str> = references.iter().map(|reference| text(&reference["name"])).collect();
        assert_eq!(used.iter().copied().collect::<BTreeSet<_>>(), given, "{name}");
        assert_eq!((used.len(), references.len()), (given.len(), given.len()), "{name}");
        assert!(!inside.iter().any(|(key, _)| ["script", "runtimeFieldMap", "savedSearchId"].contains(key)), "{name}");
        // Kibana's migrations read these of each visualisation, and throw where one is missing.
        if kind == "visualization" {
            assert!(object["attributes"]["kibanaSavedObjectMeta"]["searchSourceJSON"].is_object(), "{name}");
            let state = &object["attributes"]["visState"];
            assert_eq!(state["title"], object["attributes"]["title"]);
            for axis in list(&state["params"]["categoryAxes"]).iter().chain(list(&state["params"]["valueAxes"])) {
                assert!(axis["labels"].is_object(), "{name}");
            }
        }
        if kind == "dashboard" {
            // Kibana 8 forbids attributes that it does not know.
            let known = "title description kibanaSavedObjectMeta timeRestore timeFrom timeTo refreshInterval panelsJSON \
                         optionsJSON hits version";
            let known: BTreeSet<&str> = known.split_whitespace().collect();
            let given = object["attributes"].as_object().unwrap().keys().map(String::as_str).collect();
            assert_eq!(known, given);
        }
    }
    let dashboard = objects.iter().find(|object| is_a(object, "dashboard")).unwrap();
    let shown = dashboard["references"].as_array().unwrap().iter().filter(|reference| is_a(reference, "visualization"));
    let all = objects.iter().filter(|object| is_a(object, "visualization"));
    assert_eq!(shown.count(), all.count(), "each panel is on the dashboard, once");
    let mut taken = BTreeSet::new();
    for panel in list(&dashboard["attributes"]["panelsJSON"]) {
        let [x, y, w, h] = ["x", "y", "w", "h"].map(|side| panel["gridData"][side].as_u64().unwrap());
        assert!(x + w <= 48, "{panel}");
        for place in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
            assert!(taken.insert(place), "{panel} lies on another one");
        }
    }
}

#[test]
fn the_dashboard_asks_for_fields_that_the_templates_have_by_types_that_can_be_counted() {
    let objects = objects();
    let pattern = objects.iter().find(|object| is_a(object, "index-pattern")).unwrap();
    let named = &pattern["attributes"];
    for product in ["elasticsearch", "opensearch"] {
        let template = template(product);
        let has = |field: &str, types: &[&str]| {
            let found = template.get(field).unwrap_or_else(|| panic!("{product} has no {field}"));
            assert!(types.contains(&found.as_str()), "{field} is {found}");
        };
        assert_eq!(named["title"], "customs-*");
        has(text(&named["timeFieldName"]), &["date_nanos"]);
        // What is known of an index before one is there: all but `versions`, which the products call by two names.
        let mut known = BTreeMap::new();
        for field in list(&named["fields"]).iter().filter(|field| !text(&field["name"]).starts_with('_')) {
            let kind = match text(&field["esTypes"][0]) {
                "keyword" => "string",
                "boolean" => "boolean",
                "date_nanos" => "date",
                _ => "number",
            };
            assert_eq!((text(&field["type"]), &field["scripted"]), (kind, &json!(false)), "{field}");
            known.insert(text(&field["name"]).to_string(), text(&field["esTypes"][0]).to_string());
        }
        let mut expected = template.clone();
        expected.remove("versions");
        assert_eq!(known, expected, "{product}");
        for object in &objects {
            for filter in filters(object) {
                let mut inside = Vec::new();
                pairs(&filter["query"], &mut inside);
                for (key, value) in inside {
                    match (key, value) {
                        ("exists", value) => assert!(template.contains_key(text(&value["field"])), "{value}"),
                        ("term", Value::Object(terms)) => {
                            for (field, value) in terms {
                                has(field, &[if value.is_boolean() { "boolean" } else { "keyword" }]);
                            }
                        }
                        ("bool" | "filter" | "must_not" | "field", _) => {}
                        (key, _) if template.contains_key(key) => {}
                        (key, _) => panic!("a filter with {key}"),
                    }
                }
                // What is shown of a filter is what is asked.
                assert_eq!(filter["meta"]["value"], filter["query"].to_string());
            }
            let state = &object["attributes"]["visState"];
            for aggregation in list(&state["aggs"]) {
                let types: &[&str] = match text(&aggregation["type"]) {
                    "terms" | "cardinality" => &["keyword"],
                    "date_histogram" => &["date_nanos"],
                    "range" | "sum" => &["long", "double"],
                    other => panic!("{other}"),
                };
                has(text(&aggregation["params"]["field"]), types);
            }
            for control in list(&state["params"]["controls"]) {
                let field = text(&control["fieldName"]);
                has(field, &["keyword", "boolean"]);
                // Two values of a truth would be asked for by number, which the servers refuse.
                let is_text = template[field] == "keyword";
                let options = &control["options"];
                assert_eq!((&options["multiselect"], &options["dynamicOptions"]), (&json!(is_text), &json!(is_text)));
            }
        }
    }
}

/// What Kibana 7.10 and OpenSearch Dashboards make of an aggregation of a panel.
fn aggregation(state: &Value) -> Value {
    let params = &state["params"];
    let mut body = json!({ "field": params["field"] });
    match text(&state["type"]) {
        "terms" => {
            body["size"] = params["size"].clone();
            body["order"] = json!({ text(&params["orderBy"]): params["order"] });
        }
        "date_histogram" => {
            body["calendar_interval"] = json!(format!("1{}", text(&params["interval"])));
            body["time_zone"] = json!("UTC");
            body["min_doc_count"] = params["min_doc_count"].clone();
        }
        "range" => {
            body["ranges"] = params["ranges"].clone();
            body["keyed"] = json!(true);
        }
        _ => {}
    }
    if let Some(more) = params["json"].as_str() {
        let more: Map<String, Value> = serde_json::from_str(more).unwrap();
        body.as_object_mut().unwrap().extend(more);
    }
    json!({ text(&state["type"]): body })
}

/// The search of a panel on the dashboard, as they send it: buckets within each other, numbers in the innermost, and in
/// those that are ordered by them.
fn search(dashboard: &Value, panel: &Value, from: &str, to: &str) -> Value {
    let states = list(&panel["attributes"]["visState"]["aggs"]);
    let (numbers, buckets): (Vec<&Value>, Vec<&Value>) = states.iter().partition(|state| state["schema"] == "metric");
    let within = |states: &[&Value]| -> Map<String, Value> {
        states.iter().map(|state| (text(&state["id"]).to_string(), aggregation(state))).collect()
    };
    let mut aggregations = within(&numbers);
    for state in buckets.into_iter().rev() {
        if let Some(order) = state["params"]["orderBy"].as_str() {
            let number = numbers.iter().find(|number| number["id"] == order).unwrap();
            aggregations.extend(within(&[number]));
        }
        let mut body = aggregation(state);
        body["aggs"] = Value::Object(aggregations);
        aggregations = Map::from_iter([(text(&state["id"]).to_string(), body)]);
    }
    let (mut filter, mut must_not) = (vec![json!({ "match_all": {} })], Vec::new());
    for one in filters(dashboard).iter().chain(filters(panel)) {
        let place = if one["meta"]["negate"] == true { &mut must_not } else { &mut filter };
        place.push(one["query"].clone());
    }
    filter.push(json!({ "range": { "start": { "gte": from, "lte": to, "format": "strict_date_optional_time" } } }));
    json!({
        "size": 0,
        "aggs": aggregations,
        "query": { "bool": { "must": [], "filter": filter, "should": [], "must_not": must_not } },
    })
}

const EXITS: [&str; 5] = ["normal", "normal", "normal", "killed", "signal:TERM"];
const FROM: &str = "2026-05-01T00:00:00.000Z";
const TO: &str = "2026-07-31T23:59:59.999Z";

/// What is sent: jobs of three months of people and of staff, logins, canaries, a sample, processes that stand for
/// more, one that reports twice, one in parts. And one before that time.
fn records() -> Vec<Value> {
    let mut records = Vec::new();
    let mut state = 7_u64;
    let mut dice = |sides: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % sides
    };
    for job in 0..150 {
        let (is_login, user) = (job % 5 == 4, dice(6) * dice(6));
        let num_nodes = if is_login { 1 } else { (1 << dice(15)) + dice(3) };
        let (month, day) = (5 + dice(3), 1 + dice(30));
        for process in 0..=dice(3) {
            // The first names are in most processes, the last ones in few.
            let packages: Vec<String> =
                (0..30).filter(|name| dice(name + 2) < 2).map(|name| format!("p{name}")).collect();
            records.push(json!({
                "username": format!("user{user}"), "is_staff": user == 4, "is_compute": !is_login, "num_nodes": num_nodes,
                "job_id": if is_login { String::new() } else { job.to_string() },
                "start": format!("2026-{month:02}-{day:02}T{:02}:{:02}:00.000000Z", dice(24), process),
                "exit": EXITS[dice(5) as usize],
                "packages": if dice(12) == 0 { Vec::new() } else { packages },
            }));
            let record = records.last_mut().unwrap();
            match dice(12) {
                0 => record["weight"] = json!(10.0),
                1 => record["canary"] = json!("c-1"),
                2 => {
                    record["list"] = json!("everything");
                    record["rate"] = json!(0.1);
                }
                _ => {}
            }
        }
    }
    for (number, record) in records.iter_mut().enumerate() {
        record["id"] = json!(id(number as u64));
    }
    // Of these the last one counts; the parts are one.
    let mut early = records[0].clone();
    early["exit"] = json!("exec");
    early["packages"] = json!(["p0"]);
    records[0]["seq"] = json!(1);
    records.push(early);
    let mut late = records[1].clone();
    late["id"] = json!(id(9999));
    for (part, name) in [(1, "p0"), (2, "p29")] {
        let mut record = late.clone();
        record["parts"] = json!(2);
        record["part"] = json!(part);
        record["packages"] = json!([name]);
        records.push(record);
    }
    let mut before = late;
    before["id"] = json!(id(9998));
    before["start"] = json!("2026-04-30T23:59:59.000000Z");
    before["username"] = json!("nobody");
    records.push(before);
    records
}

/// `customs WORDS` in that folder.
fn customs(folder: &Path, words: &str) {
    let mut command = bare(env!("CARGO_BIN_EXE_customs"));
    let output = command.args(words.split_whitespace()).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "customs {words}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The rows of a figure of a report; no cell of these has a comma in it.
fn figure(report: &Path, name: &str) -> Vec<Vec<String>> {
    let file = fs::read_to_string(report.join(format!("figures/{name}.csv"))).unwrap();
    file.lines().skip(1).map(|line| line.split(',').map(|cell| cell.trim_matches('"').to_string()).collect()).collect()
}

/// Buckets of an answer: their keys, and what is in each.
fn buckets(answer: &Value) -> Vec<(String, &Value)> {
    match &answer["buckets"] {
        Value::Array(buckets) => buckets
            .iter()
            .map(|bucket| {
                let key = bucket["key_as_string"].as_str().or(bucket["key"].as_str()).unwrap();
                (key.to_string(), bucket)
            })
            .collect(),
        Value::Object(buckets) => buckets.iter().map(|(key, bucket)| (key.clone(), bucket)).collect(),
        other => panic!("{other}: {answer}"),
    }
}

/// A number of a bucket, where it is not 0.
fn counted(bucket: &Value) -> Option<u64> {
    let number = bucket["1"]["value"].as_f64().unwrap_or_else(|| panic!("{bucket}"));
    assert_eq!(number.fract(), 0.0);
    (number > 0.0).then_some(number as u64)
}

#[test]
fn what_the_dashboards_panels_ask_for_is_answered_with_the_numbers_of_the_report() {
    let Some(server) = OpenSearch::start() else { return };
    let dataset = Dataset::new();
    let index = format!("http://{}/customs-%Y.%m", server.address);
    let collector = Collector::on_loopback(&dataset.path(), &["--elasticsearch", &index, "--put-template"]);
    let records = records();
    for (number, record) in records.iter().enumerate() {
        collector.send(&message(|whole| whole.as_object_mut().unwrap().extend(record.as_object().unwrap().clone())));
        if number % 50 == 49 {
            collector.wait_for("customs_parsed_total", |parsed| parsed >= number as f64 + 1.0);
        }
    }
    // Two reports are of one process, two messages are parts of one.
    let documents = records.len() as u64 - 2;
    wait_for("all documents", || (server.count("customs-*") == documents).then_some(()));
    collector.stop();
    let place = dataset.path();
    let place = place.parent().unwrap();
    let ledger = r#"{"ledger":1,"event":"start","canary":"c-1","time":"2026-05-01T00:00:00.000000Z","interpreter":"x","imports":[]}"#;
    fs::write(place.join("ledger"), format!("{ledger}\n")).unwrap();
    customs(place, "reduce dataset --out tables --ledger ledger");
    customs(place, "report tables --from 2026-05-01 --to 2026-07-31 --out report");
    let report = place.join("report");

    let objects = objects();
    let dashboard = objects.iter().find(|object| is_a(object, "dashboard")).unwrap();
    let mut asked = BTreeSet::new();
    let mut ask = |name: &str| {
        let panel = objects.iter().find(|object| object["id"] == name).unwrap();
        asked.insert(name.to_string());
        let body = search(dashboard, panel, FROM, TO).to_string();
        let answer = server.ask("POST", "customs-*/_search", &body);
        answer.get("aggregations").unwrap_or_else(|| panic!("{name}: {answer}")).clone()
    };

    let summary: BTreeMap<String, u64> =
        figure(&report, "summary").into_iter().filter_map(|row| Some((row[0].clone(), row[1].parse().ok()?))).collect();
    let numbers = ask("customs-numbers");
    assert_eq!(counted(&numbers), Some(summary["users who ran Python"]));
    assert_eq!(numbers["2"]["value"].as_f64(), Some(summary["processes they stand for"] as f64));
    assert!(summary["processes they stand for"] > summary["processes reported"], "some were thinned");
    assert_eq!(counted(&ask("customs-jobs")), Some(summary["jobs with a listed package"]));

    // Twenty of thirty; which of those with equal numbers is there is not said.
    let users: BTreeMap<String, u64> =
        figure(&report, "top-users").into_iter().map(|row| (row[1].clone(), row[2].parse().unwrap())).collect();
    let answer = ask("customs-top-users");
    let top: Vec<(String, u64)> =
        buckets(&answer["2"]).into_iter().map(|(name, bucket)| (name, counted(bucket).unwrap())).collect();
    assert!(top.iter().all(|(name, count)| users[name] == *count), "{top:?} {users:?}");
    let mut most: Vec<u64> = users.values().copied().collect();
    most.sort_unstable_by(|one, other| other.cmp(one));
    assert_eq!(top.iter().map(|(_, count)| *count).collect::<Vec<_>>(), most[..20]);
    assert!(most.len() > 20 && most[0] > most[19], "{most:?}");

    let class = |nodes: u64| match 1_u64 << nodes.ilog2() {
        from @ ..8192 => format!("{from}.0-{}.0", from * 2),
        _ => "8192.0-*".to_string(),
    };
    let mut sizes: BTreeMap<String, u64> = BTreeMap::new();
    for row in figure(&report, "job-sizes") {
        *sizes.entry(class(row[0].parse().unwrap())).or_default() += row[1].parse::<u64>().unwrap();
    }
    let of_sizes = |answer: &Value| -> BTreeMap<String, u64> {
        buckets(answer).into_iter().filter_map(|(key, bucket)| Some((key, counted(bucket)?))).collect()
    };
    assert_eq!(of_sizes(&ask("customs-job-sizes")["2"]), sizes);
    assert!(sizes.len() > 10 && sizes.contains_key("8192.0-*"), "{sizes:?}");

    let mut cells: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
    for row in figure(&report, "package-sizes") {
        let jobs: u64 = row[3].parse().unwrap();
        *cells.entry(row[0].clone()).or_default().entry(class(row[1].parse().unwrap())).or_default() += jobs;
    }
    let answer = ask("customs-package-sizes");
    let rows = buckets(&answer["2"]);
    assert_eq!(rows.len(), 20);
    for (name, bucket) in rows {
        assert_eq!(of_sizes(&bucket["3"]), cells[&name], "{name}");
    }

    // The report counts neither by month alone nor by day: these are as they were planted.
    let (mut months, mut days) = (BTreeMap::<String, BTreeSet<&str>>::new(), BTreeMap::new());
    let is_counted = |record: &&Value| {
        let is_last = record["id"] != id(0) || record["seq"] == 1;
        let is_out = record.get("canary").is_some() || record.get("rate").is_some();
        is_last && !is_out && record["part"] != 2 && text(&record["start"])[..10] >= FROM[..10]
    };
    for record in records.iter().filter(is_counted) {
        let start = text(&record["start"]);
        months.entry(start[..7].to_string()).or_default().insert(text(&record["username"]));
        let ending = (start[..10].to_string(), text(&record["exit"]).to_string());
        *days.entry(ending).or_default() += record["weight"].as_f64().unwrap_or(1.0) as u64;
    }
    let answer = ask("customs-users-by-month");
    let found =
        buckets(&answer["2"]).into_iter().map(|(month, bucket)| (month[..7].to_string(), counted(bucket).unwrap()));
    let expected: BTreeMap<String, u64> =
        months.into_iter().map(|(month, users)| (month, users.len() as u64)).collect();
    assert_eq!(found.collect::<BTreeMap<_, _>>(), expected);
    assert_eq!(expected.len(), 3);
    let answer = ask("customs-endings-by-day");
    let mut found = BTreeMap::new();
    for (day, bucket) in buckets(&answer["2"]) {
        for (exit, bucket) in buckets(&bucket["3"]) {
            found.insert((day[..10].to_string(), exit), counted(bucket).unwrap());
        }
    }
    assert_eq!(found, days);

    let drawn = objects.iter().filter(|object| !list(&object["attributes"]["visState"]["aggs"]).is_empty());
    assert_eq!(asked, drawn.map(|object| text(&object["id"]).to_string()).collect(), "no panel was left out");
}
