//! Journaling to an archive elsewhere: what was said goes there by mail, read from behind the journal. How far it has come
//! is in the store, so nothing is lost by a crash, and nothing here can hold up a message.

use crate::in_force::InForce;
use export::{Book, Conversation, FileFact, letter, letters};
use files::Files;
use mail::{Mailer, NotSent};
use model::Seq;
use parking_lot::Mutex;
use record::ChainId;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;
use store::{Journal, Row, Settings, SqliteStore, Trouble};

/// The last row that the archive has.
const CURSOR: &str = "journaling.cursor";
/// Rows of one window, at most, and their bytes: a busy hour is sent in pieces.
const MOST: usize = 10_000;
const MOST_BYTES: usize = 32 << 20;
/// Rows that are read at a time.
const READ: usize = 500;
/// How long after a window's end it is sent: so that how its last messages ended is in it.
const GRACE_MS: u64 = 10_000;
/// The window, and the grace, where everything is sent at once.
const AT_ONCE_MS: u64 = 1_000;
/// How often it looks.
const LOOK: Duration = Duration::from_millis(500);
/// Between attempts, at first and at most.
const REST: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(600));

/// How it stands with it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// The last row that the archive has.
    pub cursor: u64,
    /// When the oldest row was written that should be with the archive by now, and is not; Unix milliseconds.
    pub overdue: Option<u64>,
    /// Mails that were taken since the start.
    pub sent: u64,
    /// Attempts that failed since the start.
    pub failed: u64,
    /// Why it does not go on; it tries again by itself.
    pub trouble: Option<String>,
}

/// Sends what was said to the archive.
pub struct Journaling {
    store: Arc<SqliteStore>,
    files: Option<Arc<Files>>,
    chain: ChainId,
    standing: Mutex<Standing>,
}

/// A stretch of the journal that is over.
struct Window {
    conversations: Vec<Conversation>,
    last: u64,
}

/// What there is to do.
enum Next {
    /// Nothing is over yet.
    Nothing,
    Send(Window),
}

impl Journaling {
    /// From where the last process left off; the first time, from the journal's end.
    ///
    /// # Errors
    /// [`Trouble`] when the store cannot be read or written.
    pub fn open(store: Arc<SqliteStore>, files: Option<Arc<Files>>, chain: ChainId) -> Result<Self, Trouble> {
        let kept = store.value(CURSOR)?.and_then(|bytes| <[u8; 8]>::try_from(bytes).ok());
        let cursor = kept.map_or(0, u64::from_be_bytes);
        let standing = Mutex::new(Standing { cursor, ..Standing::default() });
        Ok(Self { store, files, chain, standing })
    }

    /// How it stands with it.
    pub fn standing(&self) -> Standing {
        self.standing.lock().clone()
    }

    /// Sends whatever is over, for as long as the server runs.
    pub async fn run(self: Arc<Self>, in_force: Arc<InForce>) {
        let mut began = false;
        loop {
            let config = in_force.config();
            let Some((_, minutes)) = config.journaling() else {
                tokio::time::sleep(LOOK).await;
                continue;
            };
            let this = self.clone();
            let look = tokio::task::spawn_blocking(move || {
                if !began {
                    this.begin()?;
                }
                this.next(minutes, crate::clock::now().0)
            });
            match look.await {
                Ok(Ok(Next::Nothing)) => tokio::time::sleep(LOOK).await,
                Ok(Ok(Next::Send(window))) => self.send(window, &in_force).await,
                Ok(Err(trouble)) => {
                    self.ill(trouble.to_string());
                    tokio::time::sleep(REST.0).await;
                    continue;
                }
                Err(_) => return,
            }
            began = true;
        }
    }

    /// Who has had no archive before begins now, not with years of history.
    fn begin(&self) -> Result<(), Trouble> {
        if self.store.value(CURSOR)?.is_some() {
            return Ok(());
        }
        self.advance(self.store.head().0)
    }

    fn advance(&self, cursor: u64) -> Result<(), Trouble> {
        self.store.set_value(CURSOR, &cursor.to_be_bytes())?;
        let mut standing = self.standing.lock();
        standing.cursor = cursor;
        standing.trouble = None;
        Ok(())
    }

    fn ill(&self, why: String) {
        let mut standing = self.standing.lock();
        standing.failed += 1;
        if standing.trouble.as_ref() != Some(&why) {
            tracing::error!(why, "the archive does not get what is said; it is tried again until it does");
        }
        standing.trouble = Some(why);
    }

    /// The next window, if it is over.
    fn next(&self, minutes: u32, now: u64) -> Result<Next, Trouble> {
        let cursor = self.standing.lock().cursor;
        let (span, grace) = match minutes {
            0 => (AT_ONCE_MS, AT_ONCE_MS),
            minutes => (u64::from(minutes) * 60_000, GRACE_MS),
        };
        let (mut rows, mut bytes, mut end): (Vec<Row>, usize, u64) = (Vec::new(), 0, 0);
        'window: loop {
            let from = Seq(cursor + 1 + rows.len() as u64);
            let page = self.store.rows(from, READ)?;
            if page.is_empty() {
                break;
            }
            for row in page {
                if rows.is_empty() {
                    end = (row.at.0 / span + 1) * span;
                    let is_over = now >= end + grace;
                    self.standing.lock().overdue = is_over.then_some(row.at.0);
                    if !is_over {
                        return Ok(Next::Nothing);
                    }
                }
                bytes += row.head.len() + row.body.as_ref().map_or(0, |body| body.len());
                if row.at.0 >= end || rows.len() >= MOST || (bytes > MOST_BYTES && !rows.is_empty()) {
                    break 'window;
                }
                rows.push(row);
            }
        }
        let Some(last) = rows.last().map(|row| row.seq.0) else {
            self.standing.lock().overdue = None;
            return Ok(Next::Nothing);
        };
        let facts = |row: &Row| self.facts(row);
        let conversations = letters(&rows, facts).map_err(|e| Trouble::Damaged(e.to_string()))?;
        Ok(Next::Send(Window { conversations, last }))
    }

    fn facts(&self, row: &Row) -> Vec<FileFact> {
        let Some(files) = &self.files else { return Vec::new() };
        web::file_facts(files, row).unwrap_or_else(|trouble| {
            tracing::warn!(%trouble, row = row.seq.0, "the files of a row are not told to the archive");
            Vec::new()
        })
    }

    /// Sends a window, however long that takes. What was taken before a crash is sent again, under the same Message-ID.
    async fn send(&self, window: Window, in_force: &InForce) {
        let occasion = "Sent by the server's journaling, as it was on record then.".to_owned();
        let book = Book { chain: self.chain.to_string(), occasion };
        for of in &window.conversations {
            let mut rest = REST.0;
            let mut bare = false;
            loop {
                match self.attempt(&book, of, bare, in_force).await {
                    Ok(()) => break,
                    Err(no) => {
                        // Archives refuse what is too long for them: then without files, which are named all the same.
                        let now_bare = no.for_good && !bare;
                        self.ill(no.why);
                        bare |= now_bare;
                        if !now_bare {
                            tokio::time::sleep(rest).await;
                            rest = (rest * 2).min(REST.1);
                        }
                    }
                }
            }
            let mut standing = self.standing.lock();
            standing.sent += 1;
            standing.trouble = None;
        }
        let store = self.store.clone();
        let bytes = window.last.to_be_bytes();
        loop {
            let store = store.clone();
            let kept = tokio::task::spawn_blocking(move || store.set_value(CURSOR, &bytes)).await;
            match kept {
                Ok(Ok(())) => break,
                Ok(Err(trouble)) => self.ill(trouble.to_string()),
                Err(_) => return,
            }
            tokio::time::sleep(REST.0).await;
        }
        let mut standing = self.standing.lock();
        standing.cursor = window.last;
        standing.trouble = None;
        standing.overdue = None;
    }

    async fn attempt(
        &self,
        book: &Book,
        of: &Conversation,
        bare: bool,
        in_force: &InForce,
    ) -> Result<(), NotSent> {
        let config = in_force.config();
        let ours = |why: String| NotSent { why, for_good: false };
        let (Some((to, _)), Some(settings)) = (config.journaling(), config.mail()) else {
            return Err(ours("[journaling] names no archive any more".into()));
        };
        let content = |path: &str| if bare { Ok(None) } else { self.content(path) };
        let mail = letter(book, of, content).map_err(|e| ours(e.to_string()))?;
        let mailer = Mailer::new(&settings)?;
        mailer.send(&[to], &mail.bytes).await
    }

    fn content(&self, path: &str) -> std::io::Result<Option<Vec<u8>>> {
        let hash = path.strip_prefix("blobs/").and_then(record::unhex::<32>);
        let (Some(files), Some(hash)) = (&self.files, hash) else { return Ok(None) };
        let Some(mut content) = files.content(&hash).map_err(std::io::Error::other)? else { return Ok(None) };
        let mut bytes = Vec::new();
        content.read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }
}
