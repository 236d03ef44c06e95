//! Can the contract of a door carry what later doors need? Machines of the size of a design, with golden dialogues.
//!
//! What `connector` cannot say yet is in [`wide`], and nowhere else. The findings are in `bench/README.md`.

mod dialback;
mod files;
mod http;
mod resume;
mod stage;
mod wide;

use stage::Sides;
use std::path::Path;
use wide::{Today, Wide};

fn play(file: &str, sides: Vec<(&'static str, Box<dyn Wide>)>) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/contract/transcripts").join(file);
    testkit::play(&file, &mut Sides::new(sides));
}

#[test]
fn a_session_resumes_after_a_slow_reader() {
    let machine = || Box::new(Today(resume::Session::new("juliet@example.com/balcony")));
    play("resume.txt", vec![("old", machine()), ("new", machine())]);
}

#[test]
fn two_servers_prove_themselves_by_dialback() {
    let server = |domain, secret| Box::new(dialback::Server::new(domain, secret));
    play("dialback.txt", vec![("net", server("example.net", 1)), ("com", server("example.com", 2))]);
}

#[test]
fn a_door_borne_by_http() {
    play("http.txt", vec![("poll", Box::new(http::Polling::default()))]);
}

#[test]
fn a_file_passes_through_a_window() {
    play("file.txt", vec![("file", Box::new(files::Transfer::default()))]);
}

#[test]
fn a_file_of_a_gigabyte_never_lies_in_memory() {
    files::gigabyte();
}
