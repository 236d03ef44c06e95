//! Pages of an export: rows of evidence in lines, each proved by its segment, or by a path where not all of that is there.

use crate::Desk;
use crate::exports::{BareRows, ExportLine, READ, Selected, covers};
use crate::facts::file_facts;
use crate::problem::Problem;
use model::Seq;
use record::{ChainId, Checkpoint, Evidence, Paths, Ranges, Signed};
use store::Row;

/// Rows of a page.
const PAGE: usize = 4_000;
/// A page is not longer than this, save for its last rows.
const LONGEST: usize = 8 << 20;

/// Lines of a page, as they are made.
struct Lines {
    text: Vec<u8>,
    last: u64,
    /// Rows that are shown without content.
    withheld: Ranges,
    /// Those of them that are in the page, and had content.
    here: Ranges,
    /// Are there rows whose content is gone?
    destroyed: bool,
}

impl Lines {
    fn say(&mut self, line: &ExportLine) {
        let _ = serde_json::to_writer(&mut self.text, line);
        self.text.push(b'\n');
    }
}

impl Desk {
    pub(crate) fn page(
        &self,
        selected: &Selected,
        segments: &[Signed],
        from: u64,
        withheld: Ranges,
    ) -> Result<Vec<u8>, Problem> {
        let mut lines = Lines {
            text: Vec::with_capacity(LONGEST / 2),
            last: from.saturating_sub(1),
            withheld,
            here: Ranges::default(),
            destroyed: false,
        };
        let next = match selected {
            Selected::Range(first, last) => {
                self.page_of_range((*first, *last), segments, from, &mut lines)?
            }
            Selected::List(list) => self.page_of_list(list, segments, from, &mut lines)?,
        };
        if lines.destroyed || !lines.here.is_empty() {
            let bare = BareRows { withheld: lines.here.to_string(), destroyed: lines.destroyed };
            lines.say(&ExportLine::Bare(bare));
        }
        let end = lines.last;
        lines.say(&next.map_or(ExportLine::End(end), ExportLine::Next));
        Ok(lines.text)
    }

    fn line(
        &self,
        row: &Row,
        proof: Option<Vec<[u8; 32]>>,
        chain: ChainId,
        lines: &mut Lines,
    ) -> Result<(), Problem> {
        let withheld = lines.withheld.has(row.seq.0);
        // Its place in the chain is proved by the digest.
        if row.salt.is_none() {
            lines.destroyed = true;
        } else if withheld {
            lines.here.add(row.seq.0);
        }
        let bare = withheld.then(|| Row { salt: None, body: None, ..row.clone() });
        let mut evidence = Evidence::new(chain, bare.as_ref().unwrap_or(row));
        if let Some(path) = proof {
            evidence = evidence.proved(path);
        }
        lines.text.extend_from_slice(evidence.to_line().as_bytes());
        lines.text.push(b'\n');
        lines.last = row.seq.0;
        if let (Some(files), false) = (&self.files, withheld) {
            file_facts(files, row)?.into_iter().for_each(|fact| lines.say(&ExportLine::File(fact)));
        }
        Ok(())
    }

    /// Where the next page begins.
    fn page_of_range(
        &self,
        (first, last): (u64, u64),
        segments: &[Signed],
        from: u64,
        lines: &mut Lines,
    ) -> Result<Option<u64>, Problem> {
        let mut next = from.max(first);
        let end = last.min(next.saturating_add(PAGE as u64 - 1));
        while next <= end && lines.text.len() < LONGEST {
            let one = covers(segments, next)?;
            let until = one.last.0.min(end);
            let is_whole = first <= one.first.0 && one.last.0 <= last;
            if is_whole {
                let some = usize::try_from(until - next + 1).unwrap_or(READ).min(READ);
                let rows = self.journal.rows(Seq(next), some)?;
                let Some(last) = rows.last() else { break };
                next = last.seq.0 + 1;
                for row in &rows {
                    self.line(row, None, one.chain, lines)?;
                }
            } else {
                let wanted: Vec<Seq> = (next..=until).map(Seq).collect();
                next = self.proved(&one, &wanted, lines)?.map_or(until + 1, |seq| seq.0);
            }
        }
        Ok((next <= last).then_some(next))
    }

    fn page_of_list(
        &self,
        list: &[Seq],
        segments: &[Signed],
        from: u64,
        lines: &mut Lines,
    ) -> Result<Option<u64>, Problem> {
        let begin = list.partition_point(|seq| seq.0 < from);
        let wanted = &list[begin..list.len().min(begin + PAGE)];
        let mut rest = wanted;
        while let Some(first) = rest.first() {
            let one = covers(segments, first.0)?;
            let here = rest.partition_point(|seq| *seq <= one.last);
            if let Some(full) = self.proved(&one, &rest[..here], lines)? {
                rest = &rest[rest.partition_point(|seq| *seq < full)..];
                break;
            }
            rest = &rest[here..];
            if lines.text.len() >= LONGEST {
                break;
            }
        }
        Ok(rest.first().map(|seq| seq.0).or_else(|| list.get(begin + wanted.len()).map(|seq| seq.0)))
    }

    /// Rows of a segment that is there in part: one pass over all of it finds what proves each. Gives the first row that the
    /// page has no room for.
    fn proved(&self, one: &Checkpoint, wanted: &[Seq], lines: &mut Lines) -> Result<Option<Seq>, Problem> {
        let mut paths = Paths::new(wanted.iter().map(|seq| seq.0 - one.first.0).collect());
        let (mut next, mut rows) = (one.first.0, Vec::with_capacity(wanted.len()));
        let (mut room, mut full) = (LONGEST.saturating_sub(lines.text.len()), None);
        while next <= one.last.0 {
            let left = usize::try_from(one.last.0 - next + 1).unwrap_or(READ);
            let some = self.journal.rows(Seq(next), left.min(READ))?;
            let Some(last) = some.last() else { break };
            next = last.seq.0 + 1;
            for row in some {
                paths.push(&row.link);
                if full.is_some() || wanted.binary_search(&row.seq).is_err() {
                    continue;
                }
                if room == 0 && !rows.is_empty() {
                    full = Some(row.seq);
                    continue;
                }
                room = room.saturating_sub(row.head.len() + row.body.as_ref().map_or(0, |body| body.len()));
                rows.push(row);
            }
        }
        for row in &rows {
            let path = paths.path(row.seq.0 - one.first.0);
            self.line(row, path, one.chain, lines)?;
        }
        Ok(full)
    }
}
