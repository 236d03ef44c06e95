//! Golden dialogues of one connection.

mod rig;

#[test]
fn every_transcript_plays() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    assert!(testkit::play_folder(&folder, rig::Connection::new) >= 16);
}
