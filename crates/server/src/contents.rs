//! Are the contents of uploaded files what their acts say?

use crate::backup::checksum;
use record::{Fault, FileAct};
use std::path::Path;
use store::{Trouble, Uploads};

/// Looks at the content of a file, where it is still kept: what was removed by rule or by a person is not missed. Blocks.
///
/// # Errors
/// [`Trouble`] when store or file cannot be read.
pub fn look<S: Uploads + ?Sized>(store: &S, blobs: &Path, act: &FileAct) -> Result<Option<Fault>, Trouble> {
    let is_kept = || Ok(store.file(&act.id)?.is_some_and(|file| file.state.has_content()));
    if !is_kept()? {
        return Ok(None);
    }
    let Some((shelf, name)) = act.sha256.split_at_checked(2) else { return Ok(Some(Fault::FileGone)) };
    let path = blobs.join(shelf).join(name);
    if !path.exists() {
        // Unless it went just now.
        return Ok(is_kept()?.then_some(Fault::FileGone));
    }
    let found = checksum(&path).map_err(|failure| Trouble::Failed(failure.to_string()))?;
    Ok((found != act.sha256).then_some(Fault::FileChanged))
}
