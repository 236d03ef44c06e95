//! Two doors, the hub and a store in memory, byte for byte and without sockets.

mod house;
mod resumption;
mod side;

#[test]
fn every_transcript_plays() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/duo/transcripts");
    assert!(testkit::play_folder(&folder, house::House::new) >= 4);
}
