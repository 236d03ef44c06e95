use record::FileAct;

/// Who can read uploaded files, for the index. Called on its thread; may block.
pub trait Contents: Send + Sync {
    /// What a reader would read in a file, where that is plain text or near it; `None` for everything else, and where it is gone.
    fn text(&self, file: &FileAct) -> Option<String>;
}

/// Nobody: files are found by their names alone.
pub struct Unread;

impl Contents for Unread {
    fn text(&self, _: &FileAct) -> Option<String> {
        None
    }
}
