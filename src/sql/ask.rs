//! From a query to its answer.

use crate::args::Sql;
use crate::damage;
use crate::print::Printer;
use crate::tables::{Sources, describe};
use anyhow::{Context, Error, Result, anyhow};
use datafusion::common::DataFusionError;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion::sql::sqlparser::parser::ParserError;
use futures::StreamExt;
use std::sync::Arc;
use tokio::runtime::Builder;

/// Answers a query, or says what can be asked.
pub fn run(args: &Sql, query: Option<&str>) -> Result<()> {
    let sources = Sources::find(args.dataset.as_deref(), args.tables.as_deref())?;
    let runtime = Builder::new_multi_thread().enable_all().build().context("cannot start threads")?;
    runtime.block_on(async {
        let context = context(args.memory_limit)?;
        sources.register(&context).await?;
        match query {
            Some(query) => answer(args, &context, &sources, query).await,
            None => {
                let all = describe(&context).await?;
                let mut printer = Printer::new(args.format, all.schema());
                printer.rows(all)?;
                printer.end()
            }
        }
    })
}

fn context(mebibytes: u32) -> Result<SessionContext> {
    // Each of those who can use files gets an equal share.
    let pool = FairSpillPool::new((mebibytes as usize) << 20);
    let runtime = RuntimeEnvBuilder::new().with_memory_pool(Arc::new(pool)).build_arc()?;
    let config = SessionConfig::new().with_information_schema(true);
    Ok(SessionContext::new_with_config_rt(config, runtime))
}

async fn answer(args: &Sql, context: &SessionContext, sources: &Sources, query: &str) -> Result<()> {
    let only_reads = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    let frame = context.sql_with_options(query, only_reads).await.map_err(|error| wrong(&error, sources))?;
    let task = Arc::new(frame.task_ctx());
    let plan = frame.create_physical_plan().await.map_err(|error| failed(error, None, sources))?;
    let failed = |error| failed(error, Some(&plan), sources);
    let mut rows = execute_stream(plan.clone(), task).map_err(failed)?;
    let mut printer = Printer::new(args.format, rows.schema());
    while let Some(batch) = rows.next().await {
        printer.rows(batch.map_err(failed)?)?;
    }
    printer.end()
}

/// The query cannot be understood, or wants what it may not.
fn wrong(error: &DataFusionError, sources: &Sources) -> Error {
    let message = message(error);
    if message.ends_with(" not found") && message.starts_with("table ") {
        let name = message.trim_start_matches("table 'datafusion.public.").trim_end_matches("' not found");
        return anyhow!("the query: there is no table {name}{}", sources.missing());
    }
    if message.ends_with("only supports a single SQL statement") {
        return anyhow!("there is more than one query: ask them one after the other");
    }
    let not_supported = ["DDL not supported", "DML not supported", "Statement not supported"];
    if not_supported.iter().any(|start| message.starts_with(start)) {
        return anyhow!("the query: {message}: `customs sql` only reads; write SELECT, EXPLAIN, DESCRIBE or SHOW");
    }
    anyhow!("the query: {message}")
}

/// It was understood, and could not be answered.
fn failed(error: DataFusionError, plan: Option<&Arc<dyn ExecutionPlan>>, sources: &Sources) -> Error {
    if let Some(damaged) = damage::find(&error, plan, sources) {
        return damaged;
    }
    match error.find_root() {
        DataFusionError::ResourcesExhausted(what) => {
            let what = what.lines().next().unwrap_or_default();
            anyhow!("more memory is needed than --memory-limit allows: {what}")
        }
        _ => anyhow!("the query: {}", message(&error)),
    }
}

/// What DataFusion says, without what it puts before it.
fn message(error: &DataFusionError) -> String {
    match error.find_root() {
        DataFusionError::SQL(error, _) => match error.as_ref() {
            ParserError::ParserError(what) | ParserError::TokenizerError(what) => what.clone(),
            ParserError::RecursionLimitExceeded => "it is nested too deeply".to_string(),
        },
        DataFusionError::Collection(errors) => errors.iter().map(message).collect::<Vec<_>>().join("; "),
        root => root.message().trim_end().to_string(),
    }
}
