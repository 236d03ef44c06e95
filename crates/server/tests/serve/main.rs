//! `rialto serve` as a process: what an operator does to it while it runs.

mod admins;
mod blocking;
mod certificates;
mod checkpoints;
mod client;
mod drain;
mod handshake;
mod harness;
mod hygiene;
mod limits;
mod log;
mod logins;
mod metrics;
mod outbreak;
mod partners;
mod peer;
mod policy;
mod private;
mod probe;
mod proxy;
mod record;
mod reload;
mod search;
mod spim;
mod traces;
mod upload;
