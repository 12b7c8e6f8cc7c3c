//! The batch system's own account of jobs, beside which it is seen how many have reported.
//!
//! What `sacct --parsable2 --allocations --format=JobIDRaw,Account,Partition` prints (sacct(1)): a header, and a line a job, its
//! fields between bars.

use anyhow::{Context, Result, ensure};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Jobs of which the batch system knows.
#[derive(Debug, Default)]
pub struct Accounting {
    /// Account and partition of each, by its number.
    pub jobs: BTreeMap<String, (String, String)>,
}

impl Accounting {
    /// Reads a file.
    pub fn read(file: &Path) -> Result<Self> {
        let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        Accounting::parse(&text).with_context(|| file.display().to_string())
    }

    fn parse(text: &str) -> Result<Self> {
        let mut lines = text.lines();
        let header: Vec<&str> = lines.next().unwrap_or_default().split('|').collect();
        let place = |name: &str| header.iter().position(|column| column.eq_ignore_ascii_case(name));
        let hint = "print it with `sacct --parsable2 --allocations --format=JobIDRaw,Account,Partition`";
        let number = place("JobIDRaw")
            .or(place("JobID"))
            .with_context(|| format!("the first line names no column JobID: {hint}"))?;
        let (account, partition) = (place("Account"), place("Partition"));
        ensure!(account.is_some() || partition.is_some(), "the first line names neither Account nor Partition: {hint}");
        let mut jobs = BTreeMap::new();
        for line in lines.filter(|line| !line.is_empty()) {
            let fields: Vec<&str> = line.split('|').collect();
            let field = |at: Option<usize>| {
                at.and_then(|at| fields.get(at)).map_or(String::new(), |field| field.trim().to_string())
            };
            let job = field(Some(number));
            // Steps, `123.batch`, are of the job before them.
            if !job.is_empty() && !job.contains('.') {
                jobs.insert(job, (field(account), field(partition)));
            }
        }
        Ok(Accounting { jobs })
    }
}

#[cfg(test)]
mod tests {
    use super::Accounting;

    #[test]
    fn jobs_are_read_and_their_steps_passed_over() {
        let text = "JobID|Account|Partition|State\n1|m1|cpu|COMPLETED\n1.batch|m1||COMPLETED\n\n2_3|m2|gpu|FAILED\n";
        let jobs = Accounting::parse(text).unwrap().jobs;
        assert_eq!(jobs.len(), 2);
        assert_eq!(jobs["2_3"], ("m2".to_string(), "gpu".to_string()));
        assert!(Accounting::parse("a|b\n").unwrap_err().to_string().contains("sacct --parsable2"));
    }
}
