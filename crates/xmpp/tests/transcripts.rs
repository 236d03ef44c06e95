//! Golden dialogues of one connection.

mod rig;

#[test]
fn every_transcript_plays() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|f| f.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 8);
    for file in files {
        rig::play(&file);
    }
}
