//! A day of the dataset becomes rows of jobs and of users.

use super::columns::{Coded, Lists, Maps, flags, mark_changes, mark_changes_or_nulls, numbers};
use super::environment::{CONTAINER, Environments};
use crate::dataset::merge::is_settled;
use crate::dataset::read::open_coded;
use crate::dataset::twins;
use crate::tables::sets;
use crate::words::{Quick, Sets, Words};
use anyhow::{Context, Result};
use arrow_array::types::{Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, BooleanArray, Float64Array, RecordBatch, TimestampMicrosecondArray};
use customs_spec::record::Field;
use parquet::arrow::ProjectionMask;
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Rows that are read at a time.
const ROWS: usize = 65_536;

/// Packages that only a Jupyter kernel or server loads.
const KERNELS: [&str; 5] = ["ipykernel", "jupyterlab", "notebook", "jupyter_server", "jupyterhub"];

/// What is asked of every day.
pub struct Options {
    /// Where Pythons come from.
    pub environments: Environments,
    /// Canaries that are believed.
    pub canaries: HashSet<String>,
    /// Go on without what cannot be read.
    pub skip_damaged: bool,
}

/// What identifies a row of the table of jobs.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct JobKey {
    pub list: u32,
    pub system: u32,
    pub job_id: u32,
}

/// What identifies a row of the table of users.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct UserKey {
    pub list: u32,
    pub system: u32,
    pub subsystem: u32,
    pub username: u32,
    pub repo: u32,
    pub is_staff: bool,
    pub is_compute: bool,
    pub is_jupyter: bool,
}

/// The rest of the row of a job.
pub struct Job {
    pub subsystem: u32,
    pub username: u32,
    pub repo: u32,
    pub is_staff: bool,
    pub is_compute: bool,
    pub is_jupyter: bool,
    pub num_nodes: i64,
    /// Microseconds since 1970.
    pub start: Option<i64>,
    pub end: Option<i64>,
    pub exits: u32,
    pub counted: Counted,
}

/// What rows of both tables have.
#[derive(Default)]
pub struct Counted {
    pub rate: Option<f64>,
    pub processes: i64,
    pub weight: f64,
    /// A set of texts.
    pub environments: u32,
    /// Sets of names.
    pub packages: u32,
    pub direct: u32,
    pub libraries: u32,
    pub versions: u32,
}

/// A day, condensed. Numbers are those of `texts` and `names`.
#[derive(Default)]
pub struct Condensed {
    jobs: HashMap<JobKey, usize, Quick>,
    pub job_rows: Vec<(JobKey, Job)>,
    users: HashMap<UserKey, usize, Quick>,
    /// The user who was asked for last, and the place: the jobs of a user lie together.
    last_user: Option<(UserKey, usize)>,
    pub user_rows: Vec<(UserKey, Counted)>,
    /// What there is a great deal of: user names, job ids.
    pub texts: Words,
    /// Sets of them.
    pub text_sets: Sets,
    pub records: u64,
    pub canaries: u64,
    pub claims: u64,
    pub damaged: Vec<String>,
}

/// Names of packages and sets of them: there are few, and the same ones every day.
#[derive(Default)]
pub struct Names {
    pub words: Words,
    pub sets: Sets,
    without: HashMap<(u32, u32), u32, Quick>,
    ids: Vec<Option<i64>>,
    classes: HashMap<Box<str>, Arc<str>>,
    /// Sets that the tables name.
    pub named: sets::Sets,
}

impl Names {
    /// The number by which the tables name a set.
    pub fn id(&mut self, set: u32) -> i64 {
        self.ids.resize(self.sets.len().max(self.ids.len()), None);
        let words = &self.words;
        let (members, named) = (self.sets.members(set), &mut self.named);
        *self.ids[set as usize].get_or_insert_with(|| {
            let mut names: Vec<Arc<str>> = members.iter().map(|name| words.text(*name).clone()).collect();
            names.sort();
            let id = sets::id(&names);
            named.insert(id, names);
            id
        })
    }

    /// Where a Python of that prefix comes from.
    fn class(&mut self, prefix: &str, environments: &Environments) -> &str {
        if !self.classes.contains_key(prefix) {
            self.classes.insert(prefix.into(), environments.class(prefix).into());
        }
        &self.classes[prefix]
    }

    /// A set without one of its members.
    fn without(&mut self, set: u32, name: u32) -> u32 {
        if !self.sets.members(set).contains(&name) {
            return set;
        }
        if let Some(known) = self.without.get(&(set, name)) {
            return *known;
        }
        let mut rest: Vec<u32> = self.sets.members(set).iter().copied().filter(|member| *member != name).collect();
        let rest = self.sets.number(&mut rest);
        self.without.insert((set, name), rest);
        rest
    }
}

/// How a row counts.
#[derive(Clone, Copy, PartialEq)]
enum Standing {
    /// Another one does.
    Gone,
    Counts,
    /// It is a further part of a record that was counted.
    Part,
}

/// Condenses a day.
pub fn condense(files: &[PathBuf], options: &Options, names: &mut Names) -> Result<Condensed> {
    let mut day = Condensed::default();
    let mut readable = Vec::new();
    for file in files {
        match open_coded(file) {
            Ok(_) => readable.push(file.clone()),
            Err(error) => day.damage(file, error, options)?,
        }
    }
    // What was merged altogether has each process once.
    let standings = if is_settled(&readable) { vec![None; readable.len()] } else { standings(&readable)? };
    for (file, standings) in readable.iter().zip(standings) {
        let mut rows = Reader::new();
        if let Err(error) = rows.read(file, standings.as_deref(), options, names, &mut day) {
            day.damage(file, error, options)?;
        }
    }
    Ok(day)
}

fn standings(files: &[PathBuf]) -> Result<Vec<Option<Vec<Standing>>>> {
    let twins = twins::find(files)?;
    let mut all: Vec<Option<Vec<Standing>>> = twins
        .stays
        .iter()
        .map(|stays| {
            Some(
                stays
                    .as_ref()?
                    .values()
                    .iter()
                    .map(|stays| if stays { Standing::Counts } else { Standing::Gone })
                    .collect(),
            )
        })
        .collect();
    for parts in &twins.parts {
        for (at, (file, row)) in parts.iter().enumerate() {
            let standing = if at == 0 { Standing::Counts } else { Standing::Part };
            if let Some(place) =
                all.get_mut(*file).and_then(Option::as_mut).and_then(|rows| rows.get_mut(*row as usize))
            {
                *place = standing;
            }
        }
    }
    Ok(all)
}

impl Condensed {
    fn damage(&mut self, file: &Path, error: anyhow::Error, options: &Options) -> Result<()> {
        if !options.skip_damaged {
            let hint = "move it out of the dataset, or go on without it with --skip-damaged";
            return Err(error.context(format!("{} is damaged: {hint}", file.display())));
        }
        self.damaged.push(file.display().to_string());
        Ok(())
    }
}

/// Columns that are read, as they go from batch to batch.
struct Reader {
    list: Coded<u32>,
    system: Coded<u32>,
    subsystem: Coded<u32>,
    username: Coded<u32>,
    repo: Coded<u32>,
    job_id: Coded<u32>,
    exit: Coded<u32>,
    /// The class of an environment, as a set of texts with that one in it.
    prefix: Coded<Option<u32>>,
    executable: Coded<u32>,
    in_container: Coded<bool>,
    main: Coded<Main>,
    is_believed: Coded<bool>,
    packages: Lists,
    direct: Lists,
    libraries: Lists,
    versions: Maps,
}

impl Reader {
    fn new() -> Self {
        Reader {
            list: Coded::new(Field::List.key()),
            system: Coded::new(Field::System.key()),
            subsystem: Coded::new(Field::Subsystem.key()),
            username: Coded::new(Field::Username.key()),
            repo: Coded::new(Field::Repo.key()),
            job_id: Coded::new(Field::JobId.key()),
            exit: Coded::new(Field::Exit.key()),
            prefix: Coded::new(Field::Prefix.key()),
            executable: Coded::new(Field::Executable.key()),
            in_container: Coded::new(Field::Container.key()),
            main: Coded::new(Field::Main.key()),
            is_believed: Coded::new(Field::Canary.key()),
            packages: Lists::new(Field::Packages.key()),
            direct: Lists::new(Field::Direct.key()),
            libraries: Lists::new(Field::Libraries.key()),
            versions: Maps::new(Field::Versions.key()),
        }
    }

    fn read(
        &mut self,
        file: &Path,
        standings: Option<&[Standing]>,
        options: &Options,
        names: &mut Names,
        day: &mut Condensed,
    ) -> Result<()> {
        let reader = open_coded(file)?;
        let fields = [
            Field::List,
            Field::System,
            Field::Subsystem,
            Field::Username,
            Field::Uid,
            Field::Executable,
            Field::Main,
            Field::Prefix,
            Field::IsCompute,
            Field::Container,
            Field::IsStaff,
            Field::JobId,
            Field::NumNodes,
            Field::Repo,
            Field::Start,
            Field::Elapsed,
            Field::Exit,
            Field::Packages,
            Field::Versions,
            Field::Direct,
            Field::Libraries,
            Field::Rate,
            Field::Weight,
            Field::Canary,
        ];
        // Some stand in for others, where those are empty.
        let is_needed = |field: &&Field| match field {
            Field::Executable => can_be_empty(reader.metadata(), Field::Prefix),
            Field::Uid => can_be_empty(reader.metadata(), Field::Username),
            _ => true,
        };
        let fields = fields.iter().filter(is_needed).map(|field| field.key());
        let mask = ProjectionMask::columns(reader.parquet_schema(), fields);
        let mut first = 0;
        for rows in reader.with_projection(mask).with_batch_size(ROWS).build()? {
            let rows = rows?;
            let standings = standings.map(|standings| &standings[first..first + rows.num_rows()]);
            self.take(&rows, standings, options, names, day).with_context(|| format!("rows {first} and on"))?;
            first += rows.num_rows();
        }
        Ok(())
    }

    fn take(
        &mut self,
        rows: &RecordBatch,
        standings: Option<&[Standing]>,
        options: &Options,
        names: &mut Names,
        day: &mut Condensed,
    ) -> Result<()> {
        for texts in [
            &mut self.list,
            &mut self.system,
            &mut self.subsystem,
            &mut self.username,
            &mut self.repo,
            &mut self.job_id,
        ] {
            texts.take(rows, |text| day.texts.number(text))?;
        }
        let mut class = |prefix: &str, day: &mut Condensed| {
            let class = day.texts.number(names.class(prefix, &options.environments));
            day.text_sets.number(&mut vec![class])
        };
        self.exit.take(rows, |text| {
            let exit = day.texts.number(text);
            day.text_sets.number(&mut vec![exit])
        })?;
        self.prefix.take(rows, |text| (!text.is_empty()).then(|| class(text, day)))?;
        if rows.column_by_name(Field::Executable.key()).is_some() {
            let class = |text: &str| class(text.rsplit_once("/bin/").map_or(text, |(prefix, _)| prefix), day);
            self.executable.take(rows, class)?;
        }
        let container = day.texts.number(CONTAINER);
        let container = day.text_sets.number(&mut vec![container]);
        self.in_container.take(rows, |text| !text.is_empty())?;
        self.main.take(rows, Main::of)?;
        self.is_believed.take(rows, |canary| options.canaries.contains(canary))?;
        self.packages.take(rows, &mut names.words, |name| KERNELS.contains(&name))?;
        for lists in [&mut self.direct, &mut self.libraries] {
            lists.take(rows, &mut names.words, |_| false)?;
        }
        self.versions.take(rows, &mut names.words)?;
        let marks =
            Marks { nothing: day.texts.number(""), container, multiprocessing: names.words.number("multiprocessing") };
        self.count(&Numbers::of(rows)?, &marks, standings, names, day);
        Ok(())
    }

    /// Counts the rows of a batch.
    fn count(
        &mut self,
        numbers: &Numbers,
        marks: &Marks,
        standings: Option<&[Standing]>,
        names: &mut Names,
        day: &mut Condensed,
    ) {
        let stretches = self.stretches(numbers);
        // Where everything is sampled, each process of a job has a row in two lists, one next to the other: list by list
        // they are two runs, and not two a process.
        for rows in self.list.rows_by_text() {
            let mut run: Option<Run> = None;
            let mut stretch = None;
            let (mut main, mut is_believed) = (None, None);
            for row in rows {
                if stretch.replace(stretches[row]) != Some(stretches[row]) {
                    self.end(run.take(), marks, names, day);
                    (main, is_believed) = (self.main.get(row), self.is_believed.get(row));
                }
                let standing = standings.map_or(Standing::Counts, |standings| standings[row]);
                if standing == Standing::Gone {
                    continue;
                }
                let counts = i64::from(standing == Standing::Counts);
                match is_believed {
                    Some(true) => {
                        day.canaries += counts as u64;
                        continue;
                    }
                    Some(false) => day.claims += counts as u64,
                    None => {}
                }
                day.records += counts as u64;
                let is_jupyter = main == Some(Main::Kernel) || self.packages.has_marked(row);
                if run.as_ref().is_some_and(|run| run.is_jupyter != is_jupyter || run.rate != numbers.rate(row)) {
                    self.end(run.take(), marks, names, day);
                }
                for lists in [&mut self.packages, &mut self.direct, &mut self.libraries] {
                    lists.gather(row);
                }
                self.versions.gather(row);
                let run = match &mut run {
                    Some(run) => run,
                    None => run.insert(self.begin(row, is_jupyter, numbers, marks, day)),
                };
                day.user_rows[run.user].1.count(counts, run.weight);
                if let Some(job) = run.job {
                    let job = &mut day.job_rows[job].1;
                    job.counted.count(counts, run.weight);
                    if let Some((start, end)) = numbers.times(row) {
                        job.ran(start, end);
                    }
                }
            }
            self.end(run.take(), marks, names, day);
        }
    }

    /// For each row, the number of its stretch: rows after each other that say the same but for their list, its rate,
    /// their times and their sets. A job's processes lie together.
    fn stretches(&self, numbers: &Numbers) -> Vec<u32> {
        let mut is_like = vec![true; numbers.starts.len()];
        for texts in
            [&self.system, &self.subsystem, &self.username, &self.repo, &self.job_id, &self.exit, &self.executable]
        {
            texts.mark_changes(&mut is_like);
        }
        self.prefix.mark_changes(&mut is_like);
        self.main.mark_changes(&mut is_like);
        for texts in [&self.in_container, &self.is_believed] {
            texts.mark_changes(&mut is_like);
        }
        mark_changes(numbers.uids, &mut is_like);
        mark_changes(numbers.nodes, &mut is_like);
        mark_changes_or_nulls(numbers.weights.nulls(), numbers.weights.values(), &mut is_like);
        for flags in [numbers.is_staff, numbers.is_compute] {
            let values = flags.values();
            for (like, (one, other)) in is_like.iter_mut().skip(1).zip(values.iter().zip(values.iter().skip(1))) {
                *like &= one == other;
            }
        }
        let number = |stretch: &mut u32, is_like: bool| {
            *stretch += u32::from(!is_like);
            Some(*stretch)
        };
        is_like.into_iter().scan(0, number).collect()
    }

    /// A run that begins with this row.
    fn begin(&self, row: usize, is_jupyter: bool, numbers: &Numbers, marks: &Marks, day: &mut Condensed) -> Run {
        let text = |column: &Coded<u32>| column.get(row).unwrap_or(marks.nothing);
        let username = match (text(&self.username), numbers.uids.get(row)) {
            (empty, Some(uid @ 0..)) if empty == marks.nothing => day.texts.number(&format!("uid:{uid}")),
            (name, _) => name,
        };
        let key = UserKey {
            list: text(&self.list),
            system: text(&self.system),
            subsystem: text(&self.subsystem),
            username,
            repo: text(&self.repo),
            is_staff: numbers.is_staff.value(row),
            is_compute: numbers.is_compute.value(row),
            is_jupyter,
        };
        let environments = match self.in_container.get(row) {
            Some(true) => marks.container,
            _ => self.prefix.get(row).flatten().or(self.executable.get(row)).unwrap_or(0),
        };
        let job_id = text(&self.job_id);
        let job = (job_id != marks.nothing).then(|| day.job(&key, job_id));
        if let Some(job) = job {
            let job = &mut day.job_rows[job].1;
            job.also(&key, &day.texts);
            job.num_nodes = job.num_nodes.max(numbers.nodes[row]);
            if let Some(exit) = self.exit.get(row) {
                job.exits = day.text_sets.union(job.exits, exit);
            }
        }
        let weights = numbers.weights;
        Run {
            user: day.user(key),
            job,
            rate: numbers.rate(row),
            weight: if weights.is_valid(row) { weights.value(row) } else { 1.0 },
            environments,
            is_jupyter,
            is_conda: self.main.get(row) == Some(Main::Conda),
        }
    }

    /// What a run has found gets to where it counts.
    fn end(&mut self, run: Option<Run>, marks: &Marks, names: &mut Names, day: &mut Condensed) {
        let Some(run) = run else { return };
        let mut found = [
            self.packages.set(&mut names.sets),
            self.direct.set(&mut names.sets),
            self.libraries.set(&mut names.sets),
            self.versions.set(&mut names.words, &mut names.sets),
        ];
        if run.is_conda {
            found = found.map(|set| names.without(set, marks.multiprocessing));
        }
        day.user_rows[run.user].1.unite(&run, found, names, &mut day.text_sets);
        if let Some(job) = run.job {
            day.job_rows[job].1.counted.unite(&run, found, names, &mut day.text_sets);
        }
    }
}

/// Rows after each other that count in the same rows of the tables.
struct Run {
    user: usize,
    job: Option<usize>,
    rate: Option<f64>,
    /// Of each of them.
    weight: f64,
    environments: u32,
    is_jupyter: bool,
    /// They are the tool conda's.
    is_conda: bool,
}

impl Condensed {
    /// The place of a user's row.
    fn user(&mut self, key: UserKey) -> usize {
        if let Some((last, place)) = self.last_user
            && last == key
        {
            return place;
        }
        let place = *self.users.entry(key).or_insert_with(|| {
            self.user_rows.push((key, Counted::default()));
            self.user_rows.len() - 1
        });
        self.last_user = Some((key, place));
        place
    }

    /// The place of a job's row.
    fn job(&mut self, key: &UserKey, job_id: u32) -> usize {
        let job_key = JobKey { list: key.list, system: key.system, job_id };
        *self.jobs.entry(job_key).or_insert_with(|| {
            self.job_rows.push((job_key, Job::of(key)));
            self.job_rows.len() - 1
        })
    }
}

/// Numbers that texts have.
struct Marks {
    nothing: u32,
    /// A set.
    container: u32,
    multiprocessing: u32,
}

/// Columns that have no dictionary.
struct Numbers<'a> {
    /// Nothing where every row has a username.
    uids: &'a [i64],
    nodes: &'a [i64],
    elapsed: &'a [f64],
    starts: &'a TimestampMicrosecondArray,
    rates: &'a Float64Array,
    weights: &'a Float64Array,
    is_compute: &'a BooleanArray,
    is_staff: &'a BooleanArray,
}

impl<'a> Numbers<'a> {
    fn of(rows: &'a RecordBatch) -> Result<Self> {
        let has_uids = rows.column_by_name(Field::Uid.key()).is_some();
        Ok(Numbers {
            uids: if has_uids { numbers::<Int64Type>(rows, Field::Uid.key())?.values() } else { &[] },
            nodes: numbers::<Int64Type>(rows, Field::NumNodes.key())?.values(),
            elapsed: numbers::<Float64Type>(rows, Field::Elapsed.key())?.values(),
            starts: numbers::<TimestampMicrosecondType>(rows, Field::Start.key())?,
            rates: numbers::<Float64Type>(rows, Field::Rate.key())?,
            weights: numbers::<Float64Type>(rows, Field::Weight.key())?,
            is_compute: flags(rows, Field::IsCompute.key())?,
            is_staff: flags(rows, Field::IsStaff.key())?,
        })
    }

    /// When a process began, and was heard of last: microseconds since 1970.
    fn times(&self, row: usize) -> Option<(i64, i64)> {
        let start = self.starts.is_valid(row).then(|| self.starts.value(row))?;
        Some((start, start.saturating_add((self.elapsed[row] * 1e6) as i64)))
    }

    fn rate(&self, row: usize) -> Option<f64> {
        self.rates.is_valid(row).then(|| self.rates.value(row))
    }
}

impl Counted {
    fn count(&mut self, processes: i64, weight: f64) {
        self.processes += processes;
        self.weight += weight * processes as f64;
    }

    /// Adds what a run has: sets of packages, direct ones, libraries and versions.
    fn unite(&mut self, run: &Run, found: [u32; 4], names: &mut Names, text_sets: &mut Sets) {
        self.rate = self.rate.or(run.rate);
        self.environments = text_sets.union(self.environments, run.environments);
        let own = [&mut self.packages, &mut self.direct, &mut self.libraries, &mut self.versions];
        for (own, set) in own.into_iter().zip(found) {
            *own = names.sets.union(*own, set);
        }
    }
}

impl Job {
    fn of(key: &UserKey) -> Self {
        Job {
            subsystem: key.subsystem,
            username: key.username,
            repo: key.repo,
            is_staff: key.is_staff,
            is_compute: key.is_compute,
            is_jupyter: key.is_jupyter,
            num_nodes: 0,
            start: None,
            end: None,
            exits: 0,
            counted: Counted::default(),
        }
    }

    /// A process of it ran then.
    fn ran(&mut self, start: i64, end: i64) {
        self.start = Some(self.start.map_or(start, |known| known.min(start)));
        self.end = Some(self.end.map_or(end, |known| known.max(end)));
    }

    /// Another process of it. Where they differ, a compute node's word counts more, and then what comes first in the
    /// alphabet: whatever the order in which they are read.
    fn also(&mut self, other: &UserKey, texts: &Words) {
        self.is_staff |= other.is_staff;
        self.is_jupyter |= other.is_jupyter;
        let same = (self.subsystem, self.username, self.repo) == (other.subsystem, other.username, other.repo);
        if same && self.is_compute == other.is_compute {
            return;
        }
        let told = |is_compute: bool, subsystem: u32, username: u32, repo: u32| {
            let text = |number: u32| texts.text(number).clone();
            (!is_compute, text(subsystem), text(username), text(repo))
        };
        let own = told(self.is_compute, self.subsystem, self.username, self.repo);
        if told(other.is_compute, other.subsystem, other.username, other.repo) < own {
            (self.subsystem, self.username, self.repo) = (other.subsystem, other.username, other.repo);
        }
        self.is_compute |= other.is_compute;
    }
}

/// What a program is, by its path.
#[derive(Clone, Copy, PartialEq)]
enum Main {
    /// As the paper has it: the tool conda uses multiprocessing for itself.
    Conda,
    /// A Jupyter kernel or server.
    Kernel,
    Other,
}

impl Main {
    fn of(path: &str) -> Self {
        const KERNELS: [&str; 4] = ["ipykernel_launcher", "/ipykernel/", "/bin/jupyter", "jupyterhub-singleuser"];
        if path.ends_with("/bin/conda") {
            Main::Conda
        } else if KERNELS.iter().any(|sign| path.contains(sign)) {
            Main::Kernel
        } else {
            Main::Other
        }
    }
}

/// Whether a row of a file may have nothing in a column of texts.
fn can_be_empty(file: &ParquetMetaData, field: Field) -> bool {
    let column = |group: &RowGroupMetaData| {
        let column = group.columns().iter().find(|column| column.column_path().string() == field.key())?;
        Some(column.statistics()?.min_bytes_opt()?.is_empty())
    };
    file.row_groups().iter().any(|group| column(group).unwrap_or(true))
}
