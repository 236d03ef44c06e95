//! Putting a backup back: proved before, under way, and after. The chain goes on in a new epoch, for nobody can know
//! whether the old server wrote more rows after the backup was made.

use crate::backup::{self, BLOBS, CONFIG, Listener, MANIFEST, Manifest, STORE};
use crate::config::Config;
use crate::failure::Failure;
use record::{Act, Chain, Restore};
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use store::{Options, SqliteStore};

/// Where to.
pub enum Place {
    /// A server's own directory, with configuration and store.
    Directory(PathBuf),
    /// Where this configuration keeps its store.
    Config(PathBuf),
}

/// Puts a backup back. Gives what was done, in lines for a person.
///
/// # Errors
/// [`Failure`] when the backup is not what its manifest says, the place is not free, or something cannot be written.
pub fn put_back(
    from: &Path,
    place: &Place,
    replace: bool,
    listener: &mut dyn Listener,
) -> Result<Vec<String>, Failure> {
    let manifest = examine(from)?;
    let (_, report) = backup::prove(&from.join(STORE), listener)?;
    if report.last.map_or(0, |(seq, _)| seq.0) != manifest.head {
        return Err(Failure::new(format!(
            "{}: the store does not end with row {}",
            from.display(),
            manifest.head
        )));
    }
    let data = match place {
        Place::Directory(dir) => dir.join("data"),
        Place::Config(file) => Config::load(file)?.data,
    };
    let target = data.join(STORE);
    // Whoever holds the lock would go on writing a file that has lost its name.
    let reserve = || {
        SqliteStore::reserve(&target)
            .map_err(|t| Failure::new(format!("{}: {t}: stop the server first", target.display())))
    };
    let was_there = target.exists();
    let reserved = if was_there || data.join("control.sock").exists() { Some(reserve()?) } else { None };
    let mut lines = Vec::new();
    if let Place::Directory(dir) = place {
        let taken = fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some());
        if taken && !replace {
            return Err(Failure::new(format!(
                "{} is not empty; --replace puts the store that is there aside and keeps its configuration",
                dir.display()
            )));
        }
        private_dir(dir)?;
        lines.extend(configuration(from, &manifest, dir)?);
    } else if was_there && !replace {
        return Err(Failure::new(format!("{} exists; --replace puts it aside", target.display())));
    }
    private_dir(&data)?;
    // Nobody may start a server here until the store is in its place.
    let _reserved = reserved.map_or_else(reserve, Ok)?;
    if !was_there && target.exists() {
        return Err(Failure::new(format!("{} was made just now by somebody else", target.display())));
    }
    let work = data.join(format!("restoring-{}", std::process::id()));
    private_dir(&work)?;
    let done = store(from, &manifest, &work, listener).and_then(|line| {
        lines.push(line);
        lines.extend(contents(from, &manifest, &data)?);
        lines.extend(put_aside(&target)?);
        fs::rename(work.join(STORE), &target)?;
        backup::sync_directory(&data)
    });
    let _ = fs::remove_dir_all(&work);
    done?;
    lines.push(format!("restored {}", target.display()));
    Ok(lines)
}

/// Is every file of the backup as it was made?
fn examine(from: &Path) -> Result<Manifest, Failure> {
    let path = from.join(MANIFEST);
    let wrong =
        |e: &dyn std::fmt::Display| Failure::new(format!("{}: {e}: this is no backup", path.display()));
    let text = fs::read(&path).map_err(|e| wrong(&e))?;
    let manifest: Manifest = serde_json::from_slice(&text).map_err(|e| wrong(&e))?;
    for (name, sum) in &manifest.files {
        // A name that leads out of the backup is not one that we wrote.
        if Path::new(name).components().any(|c| !matches!(c, std::path::Component::Normal(_))) {
            return Err(wrong(&format!("{name:?} is no name")));
        }
        if backup::checksum(&from.join(name))? != *sum {
            return Err(Failure::new(format!("{}: not as it was backed up", from.join(name).display())));
        }
    }
    match manifest.files.contains_key(STORE) {
        true => Ok(manifest),
        false => Err(wrong(&"no store")),
    }
}

/// Configuration and keys, where there are none.
fn configuration(from: &Path, manifest: &Manifest, dir: &Path) -> Result<Vec<String>, Failure> {
    let mut lines = Vec::new();
    for name in manifest.files.keys().filter(|name| *name != STORE && !is_content(name)) {
        let to = dir.join(name);
        if to.exists() {
            lines.push(format!("kept {}", to.display()));
            continue;
        }
        if let Some(parent) = to.parent() {
            private_dir(parent)?;
        }
        backup::copy(&from.join(name), &to)?;
        lines.push(format!("wrote {}", to.display()));
    }
    match Config::load(&dir.join(CONFIG)) {
        Err(mistake) => {
            lines.push(format!("the configuration needs a look before the server can start: {mistake}"));
        }
        Ok(config) if config.data != dir.join("data") => lines.push(format!(
            "the configuration keeps its store in {}, not here: change `data`, or restore with --config",
            config.data.display()
        )),
        Ok(_) => {}
    }
    Ok(lines)
}

fn is_content(name: &str) -> bool {
    Path::new(name).starts_with(BLOBS)
}

/// The contents of uploaded files, where they are not there already: their names are their hashes.
fn contents(from: &Path, manifest: &Manifest, data: &Path) -> Result<Option<String>, Failure> {
    let mut count = 0;
    for name in manifest.files.keys().filter(|name| is_content(name)) {
        let to = data.join(name);
        count += 1;
        if to.exists() {
            continue;
        }
        let shelf = to.parent().unwrap_or(data);
        private_dir(shelf)?;
        // Under its name only when it is whole.
        let part = shelf.join(format!("restoring-{}", std::process::id()));
        let _ = fs::remove_file(&part);
        backup::copy(&from.join(name), &part)?;
        fs::rename(&part, &to)?;
        backup::sync_directory(shelf)?;
    }
    Ok((count > 0).then(|| format!("{count} contents of uploaded files")))
}

/// Makes the store in a place of its own, so that a crash leaves nothing that looks like a store.
fn store(
    from: &Path,
    manifest: &Manifest,
    work: &Path,
    listener: &mut dyn Listener,
) -> Result<String, Failure> {
    let path = work.join(STORE);
    backup::copy(&from.join(STORE), &path)?;
    let now = crate::clock::now();
    let sealer = Chain::in_new_epoch(now.unix_ms() / 1000)?;
    let store = SqliteStore::open(&path, Box::new(sealer), Options::default())?;
    let chain = crate::house::chain_of(&store)?;
    let who = web::Who::uid(rustix::process::getuid().as_raw());
    let name = from.file_name().unwrap_or(from.as_os_str()).to_string_lossy().into_owned();
    let restore =
        Restore { backup: name, made: manifest.made.clone(), head: manifest.head, epoch: chain.epoch };
    let act = Act { restore: Some(restore), ..Act::done("restore", who.as_str()) };
    act.note(&store, now)?;
    store.close();
    drop(store);
    // What still lies in the log would not come along.
    if fs::metadata(work.join("rialto.db-wal")).is_ok_and(|log| log.len() > 0) {
        return Err(Failure::new(format!("{}: the log could not be written back", path.display())));
    }
    let (_, report) = backup::prove(&path, listener)?;
    if report.rows != manifest.head + 1 {
        return Err(Failure::new(format!("{} rows were put back of {}", report.rows, manifest.head)));
    }
    Ok(format!(
        "{} rows in {} conversations, {} accounts, made {}: verified; epoch {} begins with row {}",
        manifest.head, report.conversations, manifest.accounts, manifest.made, chain.epoch, report.rows
    ))
}

/// Gives the store that is there another name, with its log: a log that stays behind would be taken for the new one's.
fn put_aside(target: &Path) -> Result<Option<String>, Failure> {
    let suffix = format!(".replaced-{}", crate::clock::now().unix_ms());
    let named = |suffix: &str, end: &str| {
        let mut name = target.as_os_str().to_owned();
        name.push(suffix);
        name.push(end);
        PathBuf::from(name)
    };
    let mut moved = None;
    for end in ["-wal", "-shm", ""] {
        if named("", end).exists() {
            fs::rename(named("", end), named(&suffix, end))?;
            moved = Some(format!("put the old store aside as {}", named(&suffix, "").display()));
        }
    }
    Ok(moved)
}

fn private_dir(dir: &Path) -> Result<(), Failure> {
    if dir.is_dir() {
        return Ok(());
    }
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.map_err(|e| Failure::new(format!("cannot make {}: {e}", dir.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tries to open the store at each report: could it, the last time?
    struct Intruder {
        target: PathBuf,
        last: Option<bool>,
    }

    impl Listener for Intruder {
        fn hear(&mut self, _: &str, _: u64, _: u64) {
            let chain = Box::new(Chain::new().unwrap());
            self.last = Some(SqliteStore::open(&self.target, chain, Options::default()).is_ok());
        }
    }

    #[test]
    fn no_server_starts_on_a_store_that_is_being_put_aside() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(CONFIG);
        fs::write(&file, "domains = [\"example.com\"]\n").unwrap();
        let config = Config::load(&file).unwrap();
        let (store, _) = crate::house::open_store(&config).unwrap();
        Act::done("something", "somebody").note(store.as_ref(), crate::clock::now()).unwrap();
        drop(store);
        let mut intruder = Intruder { target: config.store(), last: None };
        let to = dir.path().join("backup");
        backup::make(&config, &file, &to, false, &mut intruder).unwrap();
        assert_eq!(intruder.last, Some(true));
        put_back(&to, &Place::Config(file), true, &mut intruder).unwrap();
        assert_eq!(intruder.last, Some(false));
    }
}
