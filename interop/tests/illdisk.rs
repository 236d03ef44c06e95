//! The disk that the power-cut tests trust really forgets.

use interop::{IllDisk, dice::Dice};
use std::process::{Command, Stdio};

/// Lets a program write ten blocks and takes the power at this change. Gives what is left of the file.
fn left(change: u64, seed: u64, sync: &str) -> Option<Vec<u8>> {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (disk, file) = (dir.path().join("disk"), dir.path().join("disk/file"));
    std::fs::create_dir(&disk).expect("the directory is writable");
    let mut ill = IllDisk::new(&disk, dir.path().join("pipe"));
    ill.cut_at(change, seed);
    let mut command = Command::new("dd");
    command.args(["if=/dev/zero", "bs=4096", "count=10", sync]).arg(format!("of={}", file.display()));
    ill.under(&mut command);
    let done = command.stderr(Stdio::null()).status().expect("dd runs");
    assert_eq!(done.success(), change > 13, "the power goes at change {change}");
    std::fs::read(&file).ok()
}

#[test]
fn what_was_not_synced_may_be_gone() {
    // Made, cut to nothing, ten blocks, synced: thirteen changes.
    let mut dice = Dice::new(13);
    let kept: Vec<usize> =
        (0..40).map(|_| left(13, dice.roll(), "conv=fsync").map_or(0, |f| f.len())).collect();
    assert!(kept.contains(&0), "no file: its name was not synced");
    assert!(kept.iter().any(|&n| n > 0 && n < 40_960), "a part of it");
    assert!(kept.iter().any(|n| n % 4096 != 0), "a torn block");
    assert_eq!(left(14, 1, "conv=fsync").map(|f| f.len()), Some(40_960));
}
