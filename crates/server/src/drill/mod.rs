//! Drills: what must not happen, played on a throw-away instance with the real hub and pipeline, in time that is only
//! told.

mod day;
mod dice;
mod instance;
pub mod worm;

pub use day::{Day, innocent};
pub use worm::{Plan, Worm, run};
