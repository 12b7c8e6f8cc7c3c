//! `/metrics` for Prometheus and `/healthz` for whoever watches over the collector.

use super::Metrics;
use anyhow::{Context, Result};
use axum::Router;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

/// A socket for the two pages.
pub struct Page {
    listener: TcpListener,
    address: SocketAddr,
}

impl Page {
    /// Bound.
    pub fn open(address: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind(address).with_context(|| format!("cannot serve metrics on {address}"))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok(Page { listener, address })
    }

    /// Where.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers, and does not return.
    pub fn run(self, metrics: &Arc<Metrics>) -> Result<()> {
        let numbers = metrics.clone();
        let page = move || {
            let text = numbers.page();
            async move { ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text) }
        };
        let health = metrics.clone();
        let is_well = move || {
            let is_full = health.disk_is_full.get() == 1;
            async move {
                if is_full { (StatusCode::SERVICE_UNAVAILABLE, "the disk is full\n") } else { (StatusCode::OK, "ok\n") }
            }
        };
        let routes = Router::new().route("/metrics", get(page)).route("/healthz", get(is_well));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(self.listener)?;
            axum::serve(listener, routes).await?;
            Ok(())
        })
    }
}
