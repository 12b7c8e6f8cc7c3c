//! Site files that make sense, and every way in which they do not.

use super::*;
use crate::policy::decode;
use crate::policy::model::{Check, Compute, Job, List, Model, On, Server, Subsystem, Thin, Transport};
use crate::record::Field;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::vec;

/// Files by name; one group, `nstaff`.
#[derive(Default)]
struct Fake(BTreeMap<&'static str, &'static str>);

impl Surroundings for Fake {
    fn read(&self, path: &str) -> Result<File, String> {
        let file = |text: &&str| File { name: path.to_string(), text: text.to_string() };
        self.0.get(path).map(file).ok_or_else(|| "no such file".to_string())
    }

    fn group(&self, name: &str) -> Option<u32> {
        (name == "nstaff").then_some(4242)
    }
}

fn site(text: &str) -> Result<Compiled, Rejected> {
    let files = BTreeMap::from([
        ("good.toml", "[[package]]\nname = \"numpy\"\n[[package]]\nname = \"root\"\nmodule = [\"ROOT.std\"]\n"),
        ("other.toml", "[[package]]\nname = \"numpy\"\nmodule = [\"numpy.core\"]\n"),
        ("bad.toml", "[[package]]\nname = \"\"\n\n[[package]]\nname = \"x\"\nversoin = \"x:y\"\n"),
    ]);
    compile("site.toml", text, &Fake(files))
}

/// `LINE:COLUMN kind message | help` of each problem, in order.
fn problems(text: &str) -> Vec<String> {
    let show = |problem: Problem| {
        let (line, column) = problem.file.line_column(problem.span.start);
        let file = if problem.file.name == "site.toml" { String::new() } else { format!("{} ", problem.file.name) };
        format!("{file}{line}:{column} {} {} | {}", problem.kind.key(), problem.message, problem.help)
    };
    site(text).err().map(|rejected| rejected.problems.into_iter().map(show).collect()).unwrap_or_default()
}

const HEAD: &str = "[site]\nsystem = \"cori\"\n[[transport]]\nname = \"t\"\nservers = [\"udp://10.0.0.1:514\"]\n";

/// The only problem of a good site file with `more` after it; its line counts from the first line of `more`.
fn problem(more: &str) -> String {
    let found = problems(&format!("{}[[list]]\nname = \"l\"\ninclude = [\"good.toml\"]\n{more}", HEAD));
    assert_eq!(found.len(), 1, "{more}: {found:#?}");
    let (line, rest) = found[0].split_once(':').unwrap();
    line.parse::<usize>().map_or(found[0].clone(), |line| format!("{}:{rest}", line as isize - 8))
}

#[test]
fn the_smallest_site_file_has_the_shipped_packages_and_the_usual_defaults() {
    let Compiled { model, bytes, .. } = site(&format!("{HEAD}[[list]]\nname = \"packages\"\n")).unwrap();
    assert_eq!(model.system, "cori");
    assert_eq!(model.msgid, "customs");
    assert_eq!(model.facility, 16);
    assert_eq!(model.opt_out, ["CUSTOMS_OPT_OUT"]);
    assert_eq!(model.transports[0].on, On::Any);
    assert_eq!(model.transports[0].max_datagram, 1452);
    assert_eq!(model.transports[0].servers, [Server::Udp("10.0.0.1:514".parse().unwrap())]);
    assert_eq!(model.signals, [15, 24], "TERM and XCPU");
    assert_eq!(model.job.job_id[0], "SLURM_JOB_ID");
    assert!(model.checks.iter().any(|check| check.name == "numpy"));
    assert!(model.lists[0].empty && model.lists[0].rate == 1.0);
    assert_eq!(decode(&bytes).unwrap(), model);
}

const EVERYTHING: &str = r#"
[site]
system = "co\\ri \"2\""
msgid = "py"
facility = "daemon"
opt_out = []
omit = ["uid", "main"]
pseudonymise = ["username"]
pseudonym_key = "hush"
dist_info = true
[[transport]]
name = "nodes"
on = "compute"
servers = ["udp://10.128.0.7:514", "udp://[fd00::8]:514"]
[[transport]]
name = "local"
servers = ["unix:///dev/log"]
[[transport]]
name = "debug"
servers = ["file:///tmp/customs"]
max_datagram = 2000
[endings]
signals = ["SIGUSR1", "TERM", "USR1"]
recorder = "/dev/shm/"
[[thin]]
shorter_than = "10s"
keep = 0.1
[[thin]]
shorter_than = "1h"
keep = 0.5
per = "parent"
[compute]
env = ["SLURMD_NODENAME"]
hosts = ["nid*"]
[[subsystem]]
name = "knl"
hosts = ["nid0[2-9]*"]
env = { SLURM_JOB_PARTITION = "knl*", A = "b" }
[[environment]]
name = "module"
prefix = ["/opt/python/*", "/sw/*"]
[staff]
groups = ["nstaff", 500]
[job]
job_id = ["MY_JOB"]
[[list]]
name = "packages"
include = ["good.toml"]
transport = ["debug", "nodes"]
empty = false
[[list]]
name = "mixed"
include = ["good.toml"]
[[list.package]]
name = "mkl"
library = ["libmkl_rt.so*"]
[[list.package]]
name = "multiprocessing"
unless = { main = ["*/bin/conda"], executable = ["*/spack*"] }
[[list.package]]
name = "matplotlib"
version = "matplotlib._version:version"
distribution = "Matplotlib"
[[list]]
name = "everything"
all = true
rate = 0.00001
per = "process"
"#;

#[test]
fn every_key_reaches_the_model() {
    let Compiled { model, environments, .. } = site(EVERYTHING).unwrap();
    assert_eq!((environments[0].name.as_str(), environments[0].prefix.len()), ("module", 2));
    assert_eq!(model.system, "co\\ri \"2\"");
    assert_eq!(model.facility, 3);
    assert_eq!(model.staff, [500, 4242]);
    assert_eq!(model.signals, [10, 15]);
    assert_eq!(model.recorder, "/dev/shm");
    assert_eq!(model.thin[0], Thin { shorter_than: 10_000, keep: 0.1, per_parent: false });
    assert_eq!(model.thin[1], Thin { shorter_than: 3_600_000, keep: 0.5, per_parent: true });
    assert_eq!(model.transports.iter().map(|transport| transport.max_datagram).collect::<Vec<_>>(), [1452, 8192, 2000]);
    assert_eq!(model.lists[0].transports, [2, 0]);
    assert_eq!(model.lists[1].checks, [0, 1, 2, 3, 4], "the same package in two lists is one check");
    assert_eq!(model.checks[2].modules, [""; 0], "a library alone asks for no module");
    assert!(model.lists[2].all && model.lists[2].per_process && model.lists[2].checks.is_empty());
    assert_eq!(model.subsystems[0].env.len(), 2);
}

#[test]
fn a_policy_written_back_compiles_to_the_same_bytes() {
    for text in [EVERYTHING, &format!("{HEAD}[[list]]\nname = \"packages\"\n")] {
        let first = site(text).unwrap();
        let back = write(&decode(&first.bytes).unwrap());
        let second = compile("back.toml", &back, &Fake::default()).unwrap_or_else(|error| panic!("{error}\n{back}"));
        assert_eq!(second.bytes, first.bytes, "{back}");
        assert_eq!(write(&second.model), back);
    }
}

#[test]
fn all_problems_are_shown_at_once_and_each_in_its_own_file() {
    let text = "[site]\nsistem = \"a\"\nsystem = 5\n[[transport]]\nname = \"t\"\nservers = [\"udp://loghost:514\"]\nmax = 1\n\
        [[list]]\nname = \"l\"\ninclude = [\"bad.toml\", \"nowhere.toml\"]\n[stuff]\n";
    assert_eq!(
        problems(text),
        [
            "2:1 unknown-key unknown key `sistem` | did you mean `system`?",
            "3:10 wrong-type this is integer `5`, and a text is expected | write it in quotes",
            "6:12 bad-value `loghost` is not a numeric address | the library never asks a name service; write the \
             address, e.g. udp://10.128.0.7:514 (`getent hosts loghost` prints it)",
            "7:1 unknown-key unknown key `max` | known here: name, on, servers, max_datagram",
            "10:24 not-found cannot read nowhere.toml: no such file | paths are relative to the site file; the list \
             customs ships is \"shipped:packages.toml\"",
            "11:2 unknown-key unknown key `stuff` | did you mean `staff`?",
            "bad.toml 2:8 bad-value the package has no name | write a name of at least one character",
            "bad.toml 6:1 unknown-key unknown key `versoin` | did you mean `version`?",
        ]
    );
}

#[test]
fn what_is_missing_is_named() {
    let missing: Vec<_> = problems("").into_iter().map(|line| line.split(" | ").next().unwrap().to_string()).collect();
    assert_eq!(
        missing,
        [
            "1:1 missing-key nothing says which machine this is",
            "1:1 missing-key nothing says where records go",
            "1:1 missing-key nothing says what is looked for",
        ]
    );
    assert_eq!(
        problem("[[subsystem]]\nhosts = [\"a\"]\n"),
        "1:1 missing-key `name` is missing here | add `name = …` to this table"
    );
}

#[test]
fn text_that_is_not_toml_is_reported_at_its_place() {
    let found = problems("[site]\nsystem = \"cori\n");
    assert!(found[0].starts_with("2:"), "{found:?}");
    assert!(found[0].contains("syntax"), "{found:?}");
}

#[test]
fn each_mistake_says_what_to_write_instead() {
    for (more, expected) in [
        ("transport = [\"tt\"]", "1:14 not-found there is no transport `tt` | did you mean `t`?"),
        ("rate = 0.5", "1:8 bad-value only a list with `all = true` is sampled | remove `rate`, or add"),
        ("all = true\nrate = 0.0", "2:8 bad-value 0 is not a share | write a number above 0 and up to 1"),
        ("per = \"jobs\"", "1:7 bad-value a rate is not taken per `jobs` | write \"job\" or \"process\""),
        ("[endings]\nsignals = [\"KILL\"]", "2:12 bad-value a process cannot report at `KILL` | choose from HUP, USR1"),
        ("[endings]\nrecorder = \"//\"", "2:12 bad-value this is the root of all files | name a folder"),
        ("[endings]\nrecorder = \"shm\"", "2:12 bad-value this is no absolute path | write the folder from the root"),
        ("[[thin]]\nshorter_than = \"10\"\nkeep = 0.1", "2:16 bad-value `10` is no time | write a number and its unit"),
        (
            "[[thin]]\nshorter_than = \"10s\"\nkeep = 1.0",
            "3:8 bad-value 1 is not a part | write a number from 0.000001 to below 1",
        ),
        (
            "[[thin]]\nshorter_than = \"10s\"\nkeep = 0.1\nper = \"job\"",
            "4:7 bad-value processes are not kept per `job` | write",
        ),
        ("all = \"yes\"", "1:7 wrong-type this is the text \"yes\", and true or false is expected"),
        ("transport = \"t\"", "1:13 wrong-type this is the text \"t\", and a list is expected | write a list"),
        ("[[list]]\nname = \"l\"", "2:8 duplicate there are two lists of the name `l` | the first is in line 7"),
        (
            "[[list.package]]\nname = \"numpy\"\nmodule = [\"np\"]",
            "2:8 duplicate the list `l` has `numpy` in two ways | good.toml:2",
        ),
        (
            "[[list.package]]\nname = \"a\"\n[[list.package]]\nname = \"a\"",
            "4:8 duplicate the package `a` stands twice | site.toml:10",
        ),
        (
            "[[list.package]]\nname = \"a\"\nversion = \"a.b\"",
            "3:11 bad-value this is not the place of a version | write",
        ),
        (
            "[[list.package]]\nname = \"a\"\nunless = { mian = [] }",
            "3:12 unknown-key unknown key `mian` | did you mean `main`?",
        ),
        ("[[transport]]\nname = \"t\"\nservers = [\"unix:///x\"]", "2:8 duplicate there are two transports"),
        ("[[transport]]\nname = \"u\"\nservers = []", "3:11 bad-value there is nobody to send to | write"),
        (
            "[[transport]]\nname = \"u\"\nservers = [\"unix:///x\"]\nmax_datagram = 100",
            "4:16 bad-value a record does not fit into 100",
        ),
        (
            "[[transport]]\nname = \"u\"\nservers = [\"udp://1.1.1.1:1\"]\nmax_datagram = 65508",
            "4:16 bad-value no datagram has 65508",
        ),
        ("[[transport]]\nname = \"u\"\nservers = [\"unix:///x\"]\non = \"login\"", "4:6 bad-value `login` is no kind"),
        ("[[subsystem]]\nname = \"knl\"", "2:8 missing-key nothing is ever in this subsystem | add `hosts"),
        ("[[environment]]\nname = \"ours\"\nprefix = []", "3:10 missing-key nothing is ever of this kind | add where"),
        ("[staff]\ngroups = [\"nobodies\"]", "2:11 not-found there is no group `nobodies` here | names are looked up"),
        ("[staff]\ngroups = [-1]", "2:10 wrong-type this is neither a group's name nor its number"),
        ("[ranks]\nenv = [\"$PMI_RANK\"]", "2:8 bad-value `$PMI_RANK` cannot name a variable | write the name alone"),
        ("[compute]\nhosts = [\"\"]", "2:10 bad-value this is empty"),
        ("[compute]\nhosts = [\"a\\u0000\"]", "2:10 bad-value there is a control character"),
    ] {
        let found = problem(more);
        assert!(found.starts_with(expected), "{more}\n  found    {found}\n  expected {expected}");
    }
}

#[test]
fn mistakes_in_the_site_table_are_found() {
    for (line, expected) in [
        ("msgid = \"two words\"", "3:9 bad-value `two words` cannot be a MSGID | write 1 to 32 printable"),
        ("msgid = \"\"", "3:9 bad-value `` cannot be a MSGID"),
        ("facility = \"local8\"", "3:12 bad-value unknown facility `local8` | did you mean `local"),
        ("omit = [\"mian\"]", "3:9 not-found the record has no field `mian` | did you mean `main`?"),
        ("omit = [\"id\"]", "3:9 bad-value without `id` a record cannot be told"),
        ("pseudonymise = [\"main\"]", "3:17 bad-value a hash needs a key | add `pseudonym_key"),
        (
            "pseudonym_key = \"k\"\npseudonymise = [\"elapsed\"]",
            "4:17 bad-value `elapsed` cannot be sent as a hash | omit it, or",
        ),
        ("pseudonym_key = \"k\"\npseudonymise = [\"username\"]", "4:17 bad-value the username is hidden and the uid"),
        (
            "pseudonym_key = \"k\"\nomit = [\"main\"]\npseudonymise = [\"main\"]",
            "5:17 bad-value `main` is in `omit` as well",
        ),
    ] {
        let text = format!(
            "[site]\nsystem = \"cori\"\n{line}\n{}[[list]]\nname = \"l\"\n",
            HEAD.split_once("cori\"\n").unwrap().1
        );
        let found = problems(&text);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with(expected), "{line}\n  found    {}\n  expected {expected}", found[0]);
    }
}

#[test]
fn a_policy_that_does_not_fit_names_the_list_to_shorten() {
    let packages: String =
        (0..3000).map(|number| format!("[[list.package]]\nname = \"a-package-with-a-long-name-{number}\"\n")).collect();
    let found = problems(&format!("{HEAD}[[list]]\nname = \"long\"\n{packages}"));
    assert!(found[0].starts_with("7:8 too-large the policy is too large for the library: "), "{found:?}");
    assert!(
        found[0].contains("bytes, and there is room for 131072 | shorten the longest list, `long` with 3000"),
        "{found:?}"
    );
}

/// A text that TOML has to quote with care.
fn text() -> impl Strategy<Value = String> {
    "[a-z*?/\"\\\\'#\\[\\]=.äß漢 ]{1,12}"
}

fn texts() -> impl Strategy<Value = Vec<String>> {
    proptest::collection::vec(text(), 0..4)
}

prop_compose! {
    fn package()(name in "[a-z]{3}", modules in texts(), libraries in texts(), unless_main in texts(), unless_executable in texts(),
                 version in proptest::option::of(("[a-z._]{1,9}", "[a-z._]{1,9}")), distribution in proptest::option::of(text()))
                 -> Check {
        Check { name, modules, libraries, unless_main, unless_executable, version, distribution }
    }
}

prop_compose! {
    fn list()(name in "[a-z]{4}", checks in proptest::collection::vec(0..8_u16, 0..6), all: bool, rate in 1e-9..1.0_f64,
              per_process: bool, transports in proptest::collection::vec(0..2_u16, 0..3), empty: bool) -> List {
        List { name, checks, all, rate: if all { rate } else { 1.0 }, per_process, transports, empty }
    }
}

prop_compose! {
    fn thin()(shorter_than in 1..u32::MAX, keep in 1.1e-6..0.999_f64, per_parent: bool) -> Thin {
        Thin { shorter_than, keep, per_parent }
    }
}

prop_compose! {
    fn any_model()(words in proptest::collection::vec(text(), 8), names in proptest::collection::vec("[A-Z_]{1,9}", 8),
                   facility in 0..24_u8, dist_info: bool, thin in proptest::collection::vec(thin(), 0..3), signals in proptest::sample::subsequence(vec![1_u8, 10, 12, 14, 15, 24], 0..=6), staff in proptest::collection::vec(any::<u32>(), 0..4), hosts in texts(),
                   checks in proptest::collection::vec(package(), 8), lists in proptest::collection::vec(list(), 1..4),
                   max_datagram in 1452..60_000_u16, port in 1..u16::MAX, address: [u16; 8]) -> Model {
        let name = |number: usize| vec![names[number].clone()];
        let servers = vec![Server::Udp((address, port).into()), Server::Unix(format!("/{}", words[0])), Server::File("/f".to_string())];
        let transport = |name: &str, on| Transport { name: name.to_string(), on, max_datagram, servers: servers.clone() };
        Model {
            system: words[1].clone(), msgid: "m".to_string(), facility, opt_out: name(0), omit: vec![Field::Uid, Field::Main],
            pseudonymise: vec![Field::Username], pseudonym_key: words[2].clone(), dist_info, signals, recorder: format!("/{}", names[1]), thin,
            transports: vec![transport("one", On::Compute), transport("two", On::Any)],
            compute: Compute { env: name(1), hosts: hosts.clone() },
            subsystems: vec![Subsystem { name: words[3].clone(), hosts, env: vec![(names[2].clone(), words[4].clone())] }],
            staff, ranks: name(3), job: Job { job_id: name(4), num_nodes: name(5), qos: name(6), repo: name(7) }, checks, lists,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_policy_written_back_compiles_to_the_same_bytes(model in any_model()) {
        // A model made at random says some things twice; once compiled, it is one that a site file can have made.
        let first = compile("first.toml", &write(&model), &Fake::default());
        prop_assume!(first.is_ok());
        let first = first.unwrap();
        let back = write(&decode(&first.bytes).unwrap());
        let second = compile("second.toml", &back, &Fake::default()).unwrap();
        prop_assert_eq!(&second.model, &first.model);
        prop_assert_eq!(second.bytes, first.bytes);
    }
}
