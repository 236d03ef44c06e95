use crate::{FileState, MemoryStore, StoredFile, Trouble, Uploads};
use model::{Address, Timestamp};

impl MemoryStore {
    fn sorted(&self, limit: usize, wanted: impl Fn(&StoredFile) -> bool, newest: bool) -> Vec<StoredFile> {
        let mut all: Vec<StoredFile> = self.uploads.lock().values().filter(|f| wanted(f)).cloned().collect();
        all.sort_by_key(|file| file.at);
        if newest {
            all.reverse();
        }
        all.truncate(limit);
        all
    }
}

impl Uploads for MemoryStore {
    fn add_file(&self, file: &StoredFile) -> Result<bool, Trouble> {
        let mut files = self.uploads.lock();
        let new = !files.contains_key(&file.id);
        if new {
            files.insert(file.id.clone(), file.clone());
        }
        Ok(new)
    }

    fn file(&self, id: &str) -> Result<Option<StoredFile>, Trouble> {
        Ok(self.uploads.lock().get(id).cloned())
    }

    fn set_file_state(&self, id: &str, from: FileState, to: FileState, why: &str) -> Result<bool, Trouble> {
        let mut files = self.uploads.lock();
        let Some(file) = files.get_mut(id).filter(|file| file.state == from) else { return Ok(false) };
        file.state = to;
        why.clone_into(&mut file.why);
        Ok(true)
    }

    fn remove_file(&self, id: &str) -> Result<bool, Trouble> {
        Ok(self.uploads.lock().remove(id).is_some())
    }

    fn files(&self, states: &[FileState], limit: usize) -> Result<Vec<StoredFile>, Trouble> {
        Ok(self.sorted(limit, |file| states.contains(&file.state), true))
    }

    fn files_before(&self, at: Timestamp, skip: usize, limit: usize) -> Result<Vec<StoredFile>, Trouble> {
        let mut all = self.sorted(limit.saturating_add(skip), |file| file.at < at, false);
        Ok(all.split_off(skip.min(all.len())))
    }

    fn uploaded_since(&self, owner: &Address, at: Timestamp) -> Result<(u64, Option<Timestamp>), Trouble> {
        let theirs = self.sorted(usize::MAX, |file| file.owner == *owner && file.at >= at, false);
        Ok((theirs.iter().map(|file| file.size).sum(), theirs.first().map(|file| file.at)))
    }

    fn wants_content(&self, hash: &[u8; 32]) -> Result<bool, Trouble> {
        Ok(self.uploads.lock().values().any(|file| file.hash == *hash && file.state.has_content()))
    }
}
