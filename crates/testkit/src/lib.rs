//! Tests replay text files: a transcript is a golden dialogue between a machine and everything around it.
//!
//! [`play`] knows the file's form and when to compare; what a line means to a machine is told by a [`Stage`], which each
//! door's tests supply. Time is virtual: [`Clock`] moves only when a transcript says so. [`words`] holds the neutral
//! vocabulary, so that every door's transcripts speak of the hub in the same words.

mod clock;
mod pattern;
mod player;
pub mod sip;
pub mod words;
pub mod xmpp;

pub use clock::Clock;
pub use pattern::Names;
pub use player::{Stage, Step, play, play_folder};
