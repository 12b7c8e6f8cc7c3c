//! The integration tests: one binary, because each binary would link the whole command again.

// What a person types and what comes back, verb by verb.
mod cli;
