//! One rule, compiled.

use crate::Feature;
use crate::condition::Condition;
use crate::document::{Direction, Protocol, Then, Verified};
use crate::hours::Window;
use crate::who::Who;

/// A rule, ready to be asked.
#[derive(Default)]
pub(crate) struct Rule {
    pub name: String,
    /// Its line in the text, from 1.
    pub line: usize,
    pub from: Vec<Who>,
    pub to: Vec<Who>,
    pub except_from: Vec<Who>,
    pub except_to: Vec<Who>,
    pub features: Vec<Feature>,
    pub direction: Vec<Direction>,
    pub protocols: Vec<Protocol>,
    pub devices: Vec<String>,
    pub verified: Vec<Verified>,
    pub encrypted: Option<bool>,
    pub content: Vec<usize>,
    pub at_least: usize,
    pub files: Vec<usize>,
    pub larger_than: Option<u64>,
    pub time: Vec<Window>,
    pub condition: Option<Condition>,
    pub then: Option<Then>,
    pub text: Option<String>,
}
