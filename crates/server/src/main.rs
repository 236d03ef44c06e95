//! `rialto`: business instant messaging and federation gateway.

mod answers;
mod authority;
mod backup;
mod certificates;
mod checkpoints;
mod clean;
mod cli;
mod client;
mod clock;
mod config;
mod conformance;
mod contents;
mod cut;
mod demo;
mod drill;
mod failure;
mod following;
mod house;
mod in_force;
mod journaling;
mod keeping;
mod live;
mod log;
mod metrics;
mod outbreaks;
mod posh;
mod probe;
mod published;
mod recording;
mod restore;
mod running;
mod setup;
mod strangers;
mod subject;
mod supervisor;
mod traces;
mod unrecorded;
mod upload;
mod usage;

use clap::Parser;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // One TLS provider in the whole process, chosen before anything can ask for another.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    cli::Cli::parse().run()
}
