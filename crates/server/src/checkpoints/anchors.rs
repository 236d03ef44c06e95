//! Places that keep checkpoints besides here. One that fails is asked again; nothing else waits for it.

use super::stamp::Question;
use super::{Anchored, Notary, post, syslog};
use crate::config::Config;
use crate::in_force::InForce;
use model::Seq;
use record::{Signed, hex};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use store::{Checkpoints as _, Settings as _, SqliteStore};

/// How long after a failure a place is asked again.
const AGAIN: Duration = Duration::from_secs(60);
/// Checkpoints handed over at a time.
const PAGE: usize = 500;

/// A place.
#[derive(Debug, Clone)]
enum Anchor {
    Directory(PathBuf),
    Syslog { to: String, host: String },
    Http { url: String, authority: Option<PathBuf> },
    Timestamp { url: String, authority: Option<PathBuf> },
}

/// Those that the configuration names.
fn configured(config: &Config) -> Vec<Anchor> {
    let part = &config.record.anchors;
    let word = |one: &Option<toml::Spanned<String>>| one.as_ref().map(|s| s.get_ref().clone());
    let authority = word(&part.authority).map(|file| config.base().join(file));
    let host = config.domains.first().map_or_else(|| "-".to_owned(), |d| partner::ascii(d.domain()));
    [
        word(&part.directory).map(|dir| Anchor::Directory(config.base().join(dir))),
        word(&part.syslog).map(|to| Anchor::Syslog { to, host }),
        word(&part.http).map(|url| Anchor::Http { url, authority: authority.clone() }),
        word(&part.timestamp).map(|url| Anchor::Timestamp { url, authority }),
    ]
    .into_iter()
    .flatten()
    .collect()
}

impl Anchor {
    fn kind(&self) -> &'static str {
        match self {
            Self::Directory(_) => "directory",
            Self::Syslog { .. } => "syslog",
            Self::Http { .. } => "http",
            Self::Timestamp { .. } => "timestamp",
        }
    }

    fn place(&self) -> String {
        match self {
            Self::Directory(dir) => dir.display().to_string(),
            Self::Syslog { to, .. } => to.clone(),
            Self::Http { url, .. } | Self::Timestamp { url, .. } => url.clone(),
        }
    }

    /// Where it is kept how far this place has come.
    fn setting(&self) -> String {
        format!("anchor.{}.{}", self.kind(), self.place())
    }

    /// Does it get those of before it was configured too? For the others, the newest vouches for all before it.
    fn wants_all(&self) -> bool {
        matches!(self, Self::Directory(_))
    }
}

/// Hands over what is new whenever there is something, and tries again where it failed.
pub async fn keep(in_force: Arc<InForce>, notary: Arc<Notary>) {
    loop {
        let anchors = configured(&in_force.config());
        let mut tasks = Vec::new();
        for anchor in anchors {
            tasks.push(tokio::spawn(serve(anchor, notary.clone())));
        }
        let mut standing = Vec::new();
        for task in tasks {
            standing.extend(task.await.ok());
        }
        let failed = standing.iter().any(|anchored| anchored.trouble.is_some());
        notary.standing.lock().anchors = standing;
        let again = async {
            match failed {
                true => tokio::time::sleep(AGAIN).await,
                false => std::future::pending().await,
            }
        };
        tokio::select! {
            () = notary.made.notified() => {}
            () = again => {}
        }
    }
}

/// Hands one place what it has not got.
async fn serve(anchor: Anchor, notary: Arc<Notary>) -> Anchored {
    let (kind, place) = (anchor.kind(), anchor.place());
    let before =
        notary.standing.lock().anchors.iter().find(|a| a.kind == kind).and_then(|a| a.trouble.clone());
    let (to, end) = hand_over(&anchor, &notary.store).await;
    let trouble = end.err();
    match (&before, &trouble) {
        // Said once, not every minute.
        (None, Some(why)) => tracing::warn!(kind, place, why, "checkpoints cannot be anchored; trying again"),
        (Some(_), None) => tracing::info!(kind, place, "checkpoints are anchored again"),
        _ => {}
    }
    Anchored { kind, place, to, trouble }
}

async fn hand_over(anchor: &Anchor, store: &Arc<SqliteStore>) -> (Seq, Result<(), String>) {
    let (shared, name, all) = (store.clone(), anchor.setting(), anchor.wants_all());
    let place = blocking(move || {
        let Some((newest, _)) = shared.last_checkpoint()? else { return Ok(None) };
        if let Some(place) = shared.value(&name)?.and_then(|bytes| Place::read(&bytes)) {
            return Ok(Some((place, newest)));
        }
        // From here on it gets every one, also where the first cannot be handed over yet.
        let place = Place { after: if all { Seq(0) } else { Seq(newest.0 - 1) }, has: Seq(0) };
        shared.set_value(&name, &place.to_bytes())?;
        Ok(Some((place, newest)))
    });
    let (mut place, newest) = match place.await {
        Ok(Some(found)) => found,
        Ok(None) => return (Seq(0), Ok(())),
        Err(why) => return (Seq(0), Err(why)),
    };
    while place.after < newest {
        if matches!(anchor, Anchor::Timestamp { .. }) {
            // A stamp on the newest is one on all before it.
            place.after = Seq(newest.0 - 1);
        }
        match hand_over_page(anchor, store, place).await {
            Ok(Some(further)) => place = further,
            Ok(None) => break,
            Err(why) => return (place.has, Err(why)),
        }
    }
    (place.has, Ok(()))
}

/// How far a place has come.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// It is to get those that close rows after this one.
    after: Seq,
    /// The last row of the last one that it has; 0 for none.
    has: Seq,
}

impl Place {
    fn to_bytes(self) -> Vec<u8> {
        [self.after.0.to_be_bytes(), self.has.0.to_be_bytes()].concat()
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (after, has) = bytes.split_at_checked(8)?;
        let number = |part: &[u8]| part.try_into().ok().map(u64::from_be_bytes).map(Seq);
        Some(Self { after: number(after)?, has: number(has)? })
    }
}

async fn hand_over_page(
    anchor: &Anchor,
    store: &Arc<SqliteStore>,
    place: Place,
) -> Result<Option<Place>, String> {
    let shared = store.clone();
    let page = blocking(move || shared.checkpoints(place.after, PAGE)).await?;
    let Some((last, _)) = page.last() else { return Ok(None) };
    let further = Place { after: *last, has: *last };
    let all = page.iter().map(|(_, line)| Signed::parse(line)).collect::<Result<Vec<_>, _>>()?;
    give(anchor, all, store).await?;
    let (shared, name) = (store.clone(), anchor.setting());
    blocking(move || shared.set_value(&name, &further.to_bytes())).await?;
    Ok(Some(further))
}

/// Hands some over, in order.
async fn give(anchor: &Anchor, all: Vec<Signed>, store: &Arc<SqliteStore>) -> Result<(), String> {
    match anchor {
        Anchor::Directory(dir) => {
            let dir = dir.clone();
            blocking(move || append(&dir, &all).map_err(|e| store::Trouble::Failed(e.to_string()))).await
        }
        Anchor::Syslog { to, host } => {
            for one in all {
                let (to, host, at) = (to.clone(), host.clone(), one.checkpoint.at.to_string());
                let send = move || syslog::send(&to, &host, &at, &one.bare().to_line());
                tokio::task::spawn_blocking(send).await.map_err(|e| e.to_string())??;
            }
            Ok(())
        }
        Anchor::Http { url, authority } => {
            for one in all {
                let body = one.bare().to_line().into_bytes();
                post::post(url, authority.as_deref(), "application/json", body).await?;
            }
            Ok(())
        }
        Anchor::Timestamp { url, authority } => {
            let Some(mut newest) = all.into_iter().last() else { return Ok(()) };
            let mut random = [0; 8];
            getrandom::fill(&mut random).map_err(|e| format!("no randomness: {e}"))?;
            let question = Question::new(newest.checkpoint.digest(), u64::from_be_bytes(random));
            let kind = "application/timestamp-query";
            let answer = post::post(url, authority.as_deref(), kind, question.to_der()).await?;
            newest.stamps.push(question.token(&answer)?);
            let store = store.clone();
            blocking(move || store.keep_checkpoint(newest.checkpoint.last, &newest.to_line())).await
        }
    }
}

/// The file of a node within a directory.
fn file_of(dir: &Path, node: &[u8; 16]) -> PathBuf {
    dir.join(format!("rialto-{}.checkpoints", hex(node)))
}

/// Adds lines at the end of the node's file; they are on the disk afterwards.
fn append(dir: &Path, all: &[Signed]) -> std::io::Result<()> {
    let Some(first) = all.first() else { return Ok(()) };
    let path = file_of(dir, &first.checkpoint.chain.node);
    let is_new = !path.exists();
    let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o644).open(&path)?;
    let mut text = String::new();
    // What a crash left of a line must not spoil the next.
    if file.seek(SeekFrom::End(0))? > 0 {
        file.seek(SeekFrom::End(-1))?;
        let mut end = [0];
        file.read_exact(&mut end)?;
        if end != *b"\n" {
            text.push('\n');
        }
    }
    for one in all {
        text.push_str(&one.bare().to_line());
        text.push('\n');
    }
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    if is_new { File::open(dir)?.sync_all() } else { Ok(()) }
}

/// What the configured directory holds of this node, if it can be read. Blocks.
pub fn anchored(config: &Config, node: &[u8; 16]) -> Option<Result<Vec<String>, String>> {
    let dir = config.record.anchors.directory.as_ref()?;
    let path = file_of(&config.base().join(dir.get_ref()), node);
    Some(match std::fs::read_to_string(&path) {
        Ok(text) => Ok(text.lines().map(ToOwned::to_owned).collect()),
        Err(error) => Err(format!("{}: {error}", path.display())),
    })
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, store::Trouble> + Send + 'static,
) -> Result<T, String> {
    let end = tokio::task::spawn_blocking(work).await;
    end.map_err(|e| e.to_string())?.map_err(|trouble| trouble.to_string())
}
