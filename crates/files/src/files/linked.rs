//! Files by the links that texts have to them.

use super::{Files, failed};
use crate::blobs::Content;
use crate::links::keys;
use ports::{Linked, Links};
use store::{StoredFile, Trouble};

impl Files {
    /// How it stands with the files that a text links to, where they may not be fetched.
    fn kept_back_in(&self, text: &str) -> Vec<Linked> {
        if self.kept_back.read().is_empty() {
            return Vec::new();
        }
        let url = self.url();
        let kept_back = self.kept_back.read();
        let ids = keys(text, &url).into_iter().filter_map(|key| key.split('-').next());
        ids.filter_map(|id| kept_back.get(id).cloned()).collect()
    }

    /// The files of ours that a text links to, as far as we still know them.
    ///
    /// # Errors
    /// [`Trouble`]
    pub fn linked_in(&self, text: &str) -> Result<Vec<StoredFile>, Trouble> {
        let url = self.url();
        let mut found: Vec<StoredFile> = Vec::new();
        for key in keys(text, &url) {
            let Some((id, secret)) = key.split_once('-') else { continue };
            if !found.iter().any(|file| file.id == id)
                && let Some(file) = self.store.file(id)?.filter(|file| file.secret == secret)
            {
                found.push(file);
            }
        }
        Ok(found)
    }

    /// Content by its hash, for the record's sake: also of files that may not be fetched. `None` if it is not kept.
    ///
    /// # Errors
    /// [`Trouble`] when the disk cannot be read.
    pub fn content(&self, hash: &[u8; 32]) -> Result<Option<Content>, Trouble> {
        self.blobs.read(hash).map_err(|e| failed("a file", e))
    }

    /// Does a text link to a file that waits?
    pub fn waits(&self, text: &str) -> bool {
        self.kept_back_in(text).contains(&Linked::Waits)
    }
}

impl Links for Files {
    fn linked(&self, text: &str) -> Vec<Linked> {
        let found = self.kept_back_in(text);
        if found.contains(&Linked::Waits) {
            self.is_awaited();
        }
        found
    }
}
