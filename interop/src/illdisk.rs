//! A disk that loses power, runs full, fails or is slow, under the server's store: `peers/illdisk.c`, loaded before it.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::have;

/// The disk below one directory.
#[derive(Debug)]
pub struct IllDisk {
    library: PathBuf,
    dir: PathBuf,
    pipe: PathBuf,
    cut_at: Option<(u64, u64)>,
}

impl IllDisk {
    /// The disk that holds `dir`; `pipe` is where its commands will come through.
    ///
    /// # Panics
    /// If the library cannot be compiled or the pipe cannot be made.
    #[must_use]
    pub fn new(dir: &Path, pipe: PathBuf) -> Self {
        let library = have::library("peers/illdisk.c");
        let made = Command::new(have::program("mkfifo", "coreutils")).arg(&pipe).status();
        assert!(made.is_ok_and(|status| status.success()), "no pipe at {}", pipe.display());
        Self { library, dir: dir.to_owned(), pipe, cut_at: None }
    }

    /// The power goes at the `change`th change of the next program that is started on it.
    pub fn cut_at(&mut self, change: u64, seed: u64) {
        self.cut_at = Some((change, seed));
    }

    /// Lets a program use this disk.
    pub fn under(&self, command: &mut Command) {
        command.env("LD_PRELOAD", &self.library).env("ILLDISK_DIR", &self.dir);
        match self.cut_at {
            Some((change, seed)) => command.env("ILLDISK_CUT", format!("{change} {seed}")),
            None => command.env("ILLDISK_PIPE", &self.pipe),
        };
    }

    /// Tells the disk of the running program what to be: `cut SEED`, `full`, `readonly`, `failing`, `slow
    /// MICROSECONDS` or `well`.
    ///
    /// # Panics
    /// If nobody listens.
    pub fn be(&self, what: &str) {
        let mut pipe = std::fs::OpenOptions::new().write(true).open(&self.pipe).expect("the disk listens");
        writeln!(pipe, "{what}").expect("the disk listens");
    }
}
