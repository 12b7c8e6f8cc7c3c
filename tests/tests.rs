//! The integration tests: one binary, because each binary would link the whole command again.

// What they share.
mod support;

// What a person types and what comes back, verb by verb.
mod cli;

// On the other architecture, too.
mod aarch64;
// The built library holds its contract with the loader.
mod contract;
// Every interpreter, and every program that embeds one, reports.
mod matrix;
// Every other program does not notice.
mod silence;
// Every field of a record has the value that the process and its job give it.
mod fields;
// Records go where they are meant to, and nobody waits for them.
mod transports;
// What a user can put into a process breaks nothing.
mod hostile;
// Every end is reported, and none is changed.
mod endings;
// Children are reported where they have something to add.
mod forks;
// What killed processes leave behind is sent, and nothing else is.
mod recorder;
// No program runs differently for it.
mod harm;
// Nor where other tools, limits and debuggers are at work in it or around it.
mod company;
// What is sent is kept, once and whole.
mod collect;
// And comes through every engine beside it.
mod engines;
// What those see who look at an index.
mod kibana;
// And the whole way at once, from a job to those who read the dataset.
mod chain;
// Canaries tell what is lost on the way.
mod canary;
// And the numbers that come of it are right.
mod report;
// What a browser gets of it.
mod serve;
// Real receivers take what is sent.
mod receivers;
// Real jobs are reported however they end.
mod jobs;
// Real containers are told apart, and their users known.
mod containers;
// Of a parallel program one rank is reported, also when MPI aborts it.
mod mpi;
// Notebooks, web servers and workers are reported as what they are.
mod services;
// Real packages are reported as they are.
mod wheels;
// What a site installs is whole, and can be replaced and removed under running processes.
mod packaging;
// Many at once are all reported, and none twice.
mod stress;
// The tests of others come out the same.
mod suites;
// What once broke.
mod lessons;
