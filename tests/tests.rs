//! The integration tests: one binary, because each binary would link the whole command again.

// What they share.
mod support;

// What a person types and what comes back, verb by verb.
mod cli;

// The built library holds its contract with the loader.
mod contract;
// Every interpreter, and every program that embeds one, reports.
mod matrix;
// Every other program does not notice.
mod silence;
