//! Whether the clock can be believed by whoever destroys without being asked: one that is years ahead makes everything old.

use crate::MatterError;
use model::Timestamp;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Instant;
use store::{Journal, Settings, Trouble};

const DAY_MS: u64 = 86_400_000;

/// So far may it be ahead of what has passed since it was believed in this process.
const LEAP_MS: u64 = DAY_MS;
/// So long may there have been no process.
const ABSENCE_MS: u64 = 30 * DAY_MS;

/// When it was believed last, Unix milliseconds in decimal digits.
const BELIEVED: &str = "retention.clock";

/// What is known of the time.
pub struct Clock {
    settings: Arc<dyn Settings>,
    known: Mutex<Known>,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    /// Then it was believed; `None` where nothing is known yet.
    at: Option<Timestamp>,
    /// The same moment, by the clock that nobody sets.
    steady: Instant,
    /// How far it may be ahead, in milliseconds.
    slack: u64,
}

impl Known {
    /// By how many days it is ahead of what can be, if it is.
    fn ahead(self, now: Timestamp, steady: Instant) -> Option<u64> {
        let passed = steady.saturating_duration_since(self.steady).as_millis();
        let passed = u64::try_from(passed).unwrap_or(u64::MAX);
        let ahead = now.0.saturating_sub(self.at?.0.saturating_add(passed));
        (ahead > self.slack).then_some(ahead / DAY_MS)
    }
}

impl Clock {
    /// That of a process that begins: what the process before it believed, or else the time of the journal's last row.
    ///
    /// # Errors
    /// [`Trouble`] when the store cannot be read; likewise below, or cannot be written.
    pub fn open<S: Settings + Journal + 'static>(store: &Arc<S>, steady: Instant) -> Result<Self, Trouble> {
        let believed = store.value(BELIEVED)?.and_then(|digits| String::from_utf8(digits).ok()?.parse().ok());
        let at = match believed {
            Some(at) => Some(Timestamp(at)),
            None => Journal::rows(store.as_ref(), store.head(), 1)?.first().map(|row| row.at),
        };
        let known = Mutex::new(Known { at, steady, slack: ABSENCE_MS });
        Ok(Self { settings: store.clone(), known })
    }

    /// Says no where the clock has leapt ahead. `steady` is the same moment by the clock that nobody sets. Changes nothing.
    ///
    /// # Errors
    /// [`MatterError::Conflict`], which says what to do.
    pub fn check(&self, now: Timestamp, steady: Instant) -> Result<(), MatterError> {
        let known = *self.known.lock();
        let (Some(days), Some(at)) = (known.ahead(now, steady), known.at) else { return Ok(()) };
        Err(MatterError::Conflict(format!(
            "the clock says {now}, which is {days} day(s) more than have passed since {at}, when it was last believed: nothing is destroyed by its age. If the clock is wrong, set it; if it is right (the server was off or asleep for so long), say so with `rialto retention run`"
        )))
    }

    /// For whoever destroys without being asked: believes the clock, and remembers that, unless it has leapt ahead.
    ///
    /// # Errors
    /// [`MatterError::Conflict`], which says what to do.
    pub fn believe(&self, now: Timestamp, steady: Instant) -> Result<(), MatterError> {
        self.check(now, steady)?;
        // One that is behind destroys nothing, and tells nothing either.
        let behind = self.known.lock().at.is_some_and(|at| now < at);
        if !behind {
            self.trust(now, steady)?;
        }
        Ok(())
    }

    /// Somebody says that it is right.
    ///
    /// # Errors
    /// [`Trouble`]
    pub fn trust(&self, now: Timestamp, steady: Instant) -> Result<(), Trouble> {
        self.settings.set_value(BELIEVED, now.0.to_string().as_bytes())?;
        *self.known.lock() = Known { at: Some(now), steady, slack: LEAP_MS };
        Ok(())
    }
}
