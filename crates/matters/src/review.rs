//! People look through what a search has found, and decide row by row.

use crate::{MatterError, Matters};
use model::{Seq, Timestamp};
use parking_lot::Mutex;
use record::Ranges;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use store::{Partners, Shelf, Trouble};
use utoipa::ToSchema;

/// Rows of one review, at most.
pub const MOST_ROWS: u64 = 100_000;
/// Tags of one row, at most, and bytes of one tag and of a note.
const TAGS: usize = 32;
const TAG: usize = 64;
const NOTE: usize = 8_000;

/// A part of the rows that stands for all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Sample {
    /// So many of a hundred, rounded up.
    pub percent: u32,
    /// What the choice follows from; whoever has it chooses the same.
    pub seed: String,
}

/// Rows that people look through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Review {
    /// Its name.
    pub name: String,
    /// The matter that it is about, and that keeps its rows.
    pub matter: String,
    /// What was looked for, in words.
    pub question: String,
    /// Rows that were found.
    pub found: u64,
    /// Where only a part of them is looked through: which.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample: Option<Sample>,
    /// The rows that are looked through, such as `1-5,9`.
    pub rows: String,
    /// Who began it.
    pub by: String,
    /// When, Unix milliseconds.
    pub at: u64,
}

/// What somebody decided about a row.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Decision {
    /// The row.
    pub row: u64,
    /// Words for it.
    #[serde(default)]
    pub tags: BTreeSet<String>,
    /// What is to be said of it.
    #[serde(default)]
    pub note: String,
    /// Between a lawyer and a client: it stays out of exports unless somebody asks for it.
    #[serde(default)]
    pub privileged: bool,
    /// Somebody has looked at it and is done.
    #[serde(default)]
    pub reviewed: bool,
    /// Who decided last.
    pub by: String,
    /// When, Unix milliseconds.
    pub at: u64,
}

/// What is to be changed of a decision.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Mark {
    /// Words to add.
    pub tags: Vec<String>,
    /// Words to take away.
    pub untag: Vec<String>,
    /// What is to be said of it, instead of what was.
    pub note: Option<String>,
    /// Is it privileged?
    pub privileged: Option<bool>,
    /// Is somebody done with it?
    pub reviewed: Option<bool>,
}

/// How far people are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Progress {
    /// Rows that are looked through.
    pub rows: u64,
    /// Rows that somebody is done with.
    pub reviewed: u64,
    /// Rows that are privileged.
    pub privileged: u64,
    /// Rows by tag.
    pub tags: BTreeMap<String, u64>,
    /// Rows that are done, by who was done last.
    pub by: BTreeMap<String, u64>,
}

impl Mark {
    /// In words, for the record; the note is for the reviewers.
    pub fn in_words(&self) -> String {
        let mut all: Vec<String> = self.tags.iter().map(|tag| format!("tag {tag}")).collect();
        all.extend(self.untag.iter().map(|tag| format!("not tag {tag}")));
        all.extend(self.note.as_ref().map(|_| "a note".to_owned()));
        all.extend(self.privileged.map(|yes| if yes { "privileged" } else { "not privileged" }.to_owned()));
        all.extend(self.reviewed.map(|yes| if yes { "reviewed" } else { "not reviewed" }.to_owned()));
        all.join(", ")
    }
}

/// Chooses a part: of `SHA-256( seed ":" number )` over all rows, the smallest. Anybody with the seed chooses the same.
pub fn sampled(rows: &Ranges, sample: &Sample) -> Ranges {
    let wanted = (rows.count() * u64::from(sample.percent)).div_ceil(100);
    let mut all: Vec<([u8; 32], u64)> =
        rows.iter().map(|row| (Sha256::digest(format!("{}:{row}", sample.seed)).into(), row)).collect();
    all.sort_unstable();
    let mut chosen: Vec<u64> =
        all.into_iter().take(usize::try_from(wanted).unwrap_or(usize::MAX)).map(|(_, row)| row).collect();
    chosen.sort_unstable();
    chosen.into_iter().collect()
}

/// All reviews.
pub struct Reviews {
    docs: Arc<dyn Partners>,
    matters: Arc<Matters>,
    changing: Mutex<()>,
}

fn key(review: &str, row: u64) -> String {
    format!("{review}/{row:020}")
}

impl Reviews {
    /// Those of a store.
    pub fn new(docs: Arc<dyn Partners>, matters: Arc<Matters>) -> Self {
        Self { docs, matters, changing: Mutex::new(()) }
    }

    /// All, by name.
    ///
    /// # Errors
    /// [`MatterError`]; likewise below.
    pub fn all(&self) -> Result<Vec<Review>, MatterError> {
        let read = |(name, doc): (String, Vec<u8>)| {
            serde_json::from_slice(&doc)
                .map_err(|e| Trouble::Failed(format!("the review {name} cannot be read: {e}")))
        };
        Ok(self.docs.documents(Shelf::Review)?.into_iter().map(read).collect::<Result<_, _>>()?)
    }

    /// One.
    pub fn named(&self, name: &str) -> Result<Review, MatterError> {
        let missing =
            || MatterError::Missing(format!("there is no review {name:?}: `rialto review list` lists them"));
        self.all()?.into_iter().find(|review| review.name == name).ok_or_else(missing)
    }

    /// Freezes what was found: from now on the matter keeps these rows, and the review has these and no others.
    pub fn begin(
        &self,
        (name, matter): (&str, &str),
        question: &str,
        found: &Ranges,
        sample: Option<Sample>,
        by: &str,
        at: Timestamp,
    ) -> Result<Review, MatterError> {
        let bad = |why: &str| Err(MatterError::Bad(why.to_owned()));
        crate::matters::checked_name(name)?;
        if found.is_empty() {
            return bad("nothing is found: there is nothing to look through");
        }
        if found.count() > MOST_ROWS {
            return bad("more than 100000 rows are found: look for less, or in parts");
        }
        if sample.as_ref().is_some_and(|sample| !(1..=100).contains(&sample.percent)) {
            return bad("a sample is 1 to 100 percent");
        }
        let taken = || MatterError::Conflict(format!("there is a review {name:?} already"));
        if self.named(name).is_ok() {
            return Err(taken());
        }
        // What is not looked through is kept as well: somebody may ask for another sample.
        self.matters.hold_rows(matter, found, by, at)?;
        let rows = sample.as_ref().map_or_else(|| found.clone(), |sample| sampled(found, sample));
        let review = Review {
            name: name.to_owned(),
            matter: matter.to_owned(),
            question: question.to_owned(),
            found: found.count(),
            sample,
            rows: rows.to_string(),
            by: by.to_owned(),
            at: at.0,
        };
        let doc = serde_json::to_vec(&review).map_err(|e| Trouble::Failed(e.to_string()))?;
        if !self.docs.add_document(Shelf::Review, name, &doc)? {
            return Err(taken());
        }
        Ok(review)
    }

    /// Decides about a row, or changes what was decided.
    pub fn mark(
        &self,
        name: &str,
        row: u64,
        mark: &Mark,
        by: &str,
        at: Timestamp,
    ) -> Result<Decision, MatterError> {
        let bad = |why: String| Err(MatterError::Bad(why));
        let _alone = self.changing.lock();
        let review = self.named(name)?;
        if !rows_of(&review).has(row) {
            return Err(MatterError::Missing(format!(
                "row {row} is not among those that {name} looks through"
            )));
        }
        let fine = |tag: &&String| {
            tag.is_empty() || tag.len() > TAG || tag.chars().any(|c| c.is_control() || c == ',')
        };
        if let Some(tag) = mark.tags.iter().find(fine) {
            return bad(format!("{tag:?} is no tag: one to {TAG} letters without commas"));
        }
        if mark.note.as_ref().is_some_and(|note| note.len() > NOTE) {
            return bad(format!("a note has at most {NOTE} letters"));
        }
        let key = key(name, row);
        let mut decision = match self.docs.document(Shelf::Decision, &key)? {
            Some(doc) => read(&doc)?,
            None => Decision { row, ..Decision::default() },
        };
        decision.tags.extend(mark.tags.iter().cloned());
        decision.tags.retain(|tag| !mark.untag.contains(tag));
        if decision.tags.len() > TAGS {
            return bad(format!("a row has at most {TAGS} tags"));
        }
        decision.note = mark.note.clone().unwrap_or(decision.note);
        decision.privileged = mark.privileged.unwrap_or(decision.privileged);
        decision.reviewed = mark.reviewed.unwrap_or(decision.reviewed);
        (decision.by, decision.at) = (by.to_owned(), at.0);
        self.put(&key, &decision)?;
        Ok(decision)
    }

    fn put(&self, key: &str, decision: &Decision) -> Result<(), MatterError> {
        let doc = serde_json::to_vec(decision).map_err(|e| Trouble::Failed(e.to_string()))?;
        Ok(self.docs.put_document(Shelf::Decision, key, &doc)?)
    }

    /// What was decided, by row.
    pub fn decisions(&self, name: &str) -> Result<BTreeMap<u64, Decision>, MatterError> {
        let docs = self.docs.documents_under(Shelf::Decision, &format!("{name}/"))?;
        docs.iter().map(|(_, doc)| read(doc).map(|decision| (decision.row, decision))).collect()
    }

    /// The first row after another that nobody is done with.
    pub fn next(&self, name: &str, after: u64) -> Result<Option<Seq>, MatterError> {
        let (review, decided) = (self.named(name)?, self.decisions(name)?);
        let open = |row: &u64| *row > after && decided.get(row).is_none_or(|decision| !decision.reviewed);
        Ok(rows_of(&review).iter().find(open).map(Seq))
    }

    /// How far people are.
    pub fn progress(&self, name: &str) -> Result<Progress, MatterError> {
        let mut progress = Progress { rows: rows_of(&self.named(name)?).count(), ..Progress::default() };
        for decision in self.decisions(name)?.into_values() {
            progress.privileged += u64::from(decision.privileged);
            for tag in decision.tags {
                *progress.tags.entry(tag).or_default() += 1;
            }
            if decision.reviewed {
                progress.reviewed += 1;
                *progress.by.entry(decision.by).or_default() += 1;
            }
        }
        Ok(progress)
    }

    /// Rows that are privileged by any review: an export leaves them out unless somebody asks for them.
    pub fn privileged(&self) -> Result<Ranges, MatterError> {
        let mut all = Vec::new();
        for (_, doc) in self.docs.documents(Shelf::Decision)? {
            let decision = read(&doc)?;
            all.extend(decision.privileged.then_some((decision.row, decision.row)));
        }
        Ok(Ranges::of(all))
    }

    /// What was decided, row by row, as CSV (RFC 4180), with notes or without; a row without a decision is there, too.
    pub fn csv(&self, name: &str, notes: bool) -> Result<String, MatterError> {
        let (review, decided) = (self.named(name)?, self.decisions(name)?);
        let mut out = "row,reviewed,privileged,tags,note,by,at\r\n".to_owned();
        for row in rows_of(&review).iter() {
            let none = Decision { row, ..Decision::default() };
            let d = decided.get(&row).unwrap_or(&none);
            let at = if d.at > 0 { Timestamp(d.at).to_string() } else { String::new() };
            let tags = d.tags.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            let texts = [tags.as_str(), if notes { &d.note } else { "" }, &d.by, &at].map(quoted).join(",");
            let yes = |is: bool| if is { "yes" } else { "no" };
            out += &format!("{row},{},{},{texts}\r\n", yes(d.reviewed), yes(d.privileged));
        }
        Ok(out)
    }

    /// Takes away what was noted of rows whose content is gone: a note may quote it.
    pub fn forget_notes(&self, rows: &Ranges) -> Result<(), MatterError> {
        let _alone = self.changing.lock();
        for review in self.all()? {
            for (row, decision) in self.decisions(&review.name)? {
                if !decision.note.is_empty() && rows.has(row) {
                    self.put(&key(&review.name, row), &Decision { note: String::new(), ..decision })?;
                }
            }
        }
        Ok(())
    }
}

/// The rows that a review looks through.
pub fn rows_of(review: &Review) -> Ranges {
    review.rows.parse().unwrap_or_default()
}

fn read(doc: &[u8]) -> Result<Decision, MatterError> {
    let wrong = |e| Trouble::Failed(format!("a decision of a review cannot be read: {e}"));
    Ok(serde_json::from_slice(doc).map_err(wrong)?)
}

/// A field of CSV. What a spreadsheet would take for a formula is none.
fn quoted(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    format!("\"{}{}\"", if formula { "'" } else { "" }, text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_follows_from_its_seed_alone() {
        let rows: Ranges = (1..=1_000).collect();
        let sample = |percent, seed: &str| sampled(&rows, &Sample { percent, seed: seed.into() });
        assert_eq!((sample(10, "a").count(), sample(100, "a")), (100, rows.clone()));
        assert_eq!(sample(10, "a"), sample(10, "a"));
        assert_ne!(sample(10, "a"), sample(10, "b"));
        let (ten, twenty) = (sample(10, "a"), sample(20, "a"));
        assert_eq!(ten.first_beyond(&twenty), None, "a larger one has the smaller one in it");
        let few: Ranges = (1..=3).collect();
        assert_eq!(sampled(&few, &Sample { percent: 1, seed: "a".into() }).count(), 1);
    }

    #[test]
    fn fields_are_quoted_and_no_formula() {
        assert_eq!(quoted("a \"b\", c"), "\"a \"\"b\"\", c\"");
        assert_eq!(quoted("=1+1"), "\"'=1+1\"");
    }
}
