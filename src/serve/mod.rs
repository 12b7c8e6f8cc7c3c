//! `customs serve`: the report's figures live. The question is in the page and in its address; the answer is the report's
//! own, so a number here is the number there.
//!
//! Read-only: it answers GET, knows two kinds of addresses, and reads nothing but the tables.

mod form;

use crate::cli::Serve;
use crate::report::draw::alone;
use crate::report::page::{Head, page};
use crate::report::{Answer, Figure, Model, Question, Wishes, read};
use crate::tables::Tables;
use anyhow::{Context, Result};
use axum::Router;
use axum::extract::{Path, RawQuery, Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, HOST, X_CONTENT_TYPE_OPTIONS};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use form::Form;
use std::collections::VecDeque;
use std::net::{IpAddr, TcpListener};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

/// Answers that are kept, for the files of a page that was just shown.
const KEPT: usize = 16;

/// Serves until it is stopped.
pub fn run(args: &Serve) -> Result<ExitCode> {
    let tables = Tables::open(&args.tables)?;
    let desk = Desk::open(tables, args)?;
    let listener = TcpListener::bind(args.listen).with_context(|| format!("cannot listen on {}", args.listen))?;
    listener.set_nonblocking(true)?;
    eprintln!("customs: http://{}/", listener.local_addr()?);
    let mut routes =
        Router::new().route("/", get(index)).route("/figures/{file}", get(file)).with_state(Arc::new(Mutex::new(desk)));
    if args.listen.ip().is_loopback() {
        routes = routes.layer(from_fn(only_here));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        axum::serve(tokio::net::TcpListener::from_std(listener)?, routes).await?;
        Ok(ExitCode::SUCCESS)
    })
}

/// Where questions are answered.
struct Desk {
    tables: Tables,
    /// When the tables were last written, as far as they have been read.
    written: SystemTime,
    model: Model,
    wishes: Wishes,
    min_users: Option<u64>,
    title: String,
    answers: VecDeque<(String, Arc<Shown>)>,
}

/// An answer, with what stands around it.
struct Shown {
    form: Form,
    period: String,
    about: Vec<String>,
    figures: Vec<Figure>,
}

type Shared = State<Arc<Mutex<Desk>>>;

impl Desk {
    fn open(tables: Tables, args: &Serve) -> Result<Self> {
        let written = tables.written()?;
        let model = read(&tables, None, None)?;
        let title = args.title.clone().unwrap_or_else(|| "Python".to_string());
        let (wishes, min_users) = (Wishes::of(&args.wishes)?, args.min_users);
        Ok(Desk { tables, written, model, wishes, min_users, title, answers: VecDeque::new() })
    }

    /// The answer to what an address asks.
    fn answer(&mut self, query: &str) -> Result<Arc<Shown>> {
        let written = self.tables.written()?;
        if written != self.written {
            self.model = read(&self.tables, None, None)?;
            self.written = written;
            self.answers.clear();
        }
        let form = Form::of_query(query);
        let key = form.query();
        if let Some((_, shown)) = self.answers.iter().find(|(known, _)| *known == key) {
            return Ok(shown.clone());
        }
        let question = Question { min_users: self.min_users, ..form.question()? };
        let period = question.period(&self.model)?;
        let Answer { figures, .. } = question.answer(&self.model, &period, &self.wishes);
        let shown = Arc::new(Shown { form, period: period.name, about: question.about(), figures });
        self.answers.push_front((key, shown.clone()));
        self.answers.truncate(KEPT);
        Ok(shown)
    }
}

/// Who listens on this machine alone is called by a name of this machine. Any other one is of a page somewhere that had its
/// name resolved anew, to read here with its reader's browser ("DNS rebinding").
async fn only_here(request: Request, next: Next) -> Response {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    let authority = host.and_then(|host| host.parse::<Authority>().ok());
    let is_here = |name: &str| {
        let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        name.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
    };
    if authority.is_some_and(|authority| is_here(authority.host())) {
        return next.run(request).await;
    }
    (StatusCode::MISDIRECTED_REQUEST, "ask for localhost: this is served to its own machine alone\n").into_response()
}

/// The page.
async fn index(State(desk): Shared, RawQuery(query): RawQuery) -> Response {
    let mut desk = desk.lock().unwrap_or_else(PoisonError::into_inner);
    match desk.answer(query.as_deref().unwrap_or_default()) {
        Ok(shown) => {
            let head = Head {
                form: Some(shown.form.markup(&desk.model)),
                query: shown.form.query(),
                ..Head::new(format!("{}: {}", desk.title, shown.period), shown.about.clone())
            };
            (headers("text/html; charset=utf-8"), page(&head, &shown.figures)).into_response()
        }
        Err(error) => {
            let form = Form::default();
            let lines = vec![format!("{error:#}.")];
            let head = Head {
                form: Some(form.markup(&desk.model)),
                ..Head::new("This cannot be answered".to_string(), lines)
            };
            (StatusCode::BAD_REQUEST, headers("text/html; charset=utf-8"), page(&head, &[])).into_response()
        }
    }
}

/// A figure as SVG, or its numbers as CSV.
async fn file(State(desk): Shared, Path(file): Path<String>, RawQuery(query): RawQuery) -> Response {
    let mut desk = desk.lock().unwrap_or_else(PoisonError::into_inner);
    let shown = match desk.answer(query.as_deref().unwrap_or_default()) {
        Ok(shown) => shown,
        Err(error) => return (StatusCode::BAD_REQUEST, format!("{error:#}\n")).into_response(),
    };
    let found = file.rsplit_once('.').and_then(|(key, suffix)| {
        let figure = shown.figures.iter().find(|figure| figure.key == key)?;
        match suffix {
            "csv" => Some(("text/csv; charset=utf-8", figure.table.csv().into_bytes())),
            "svg" => Some(("image/svg+xml", alone(figure.drawing.as_ref()?).into_bytes())),
            "parquet" => Some(("application/vnd.apache.parquet", figure.table.parquet().ok()?)),
            _ => None,
        }
    });
    let Some((kind, bytes)) = found else {
        return (StatusCode::NOT_FOUND, "there is no such figure\n").into_response();
    };
    let mut headers = headers(kind);
    // The name is one of ours: letters, digits, points and dashes.
    if let Ok(name) = HeaderValue::from_str(&format!("attachment; filename=\"{file}\"")) {
        headers.insert(CONTENT_DISPOSITION, name);
    }
    (headers, bytes).into_response()
}

fn headers(kind: &'static str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert("content-security-policy", HeaderValue::from_static("frame-ancestors 'none'"));
    headers.insert("referrer-policy", HeaderValue::from_static("no-referrer"));
    headers
}
