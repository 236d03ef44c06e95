//! What an export says of itself; FORMAT.md, "An export".

use crate::begun::{Begun, Form};
use crate::disk::{ExportError, at, open};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;

/// What is in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Lines of `rows.jsonl`.
    pub rows: u64,
    /// The first row; 0 for none.
    pub first: u64,
    /// The last row.
    pub last: u64,
    /// What it claims to be complete of: `rows`, `conversations`, `selection`.
    pub claim: String,
    /// The public key that signs it, hexadecimal.
    pub key: String,
    /// When it was made, RFC 3339.
    pub made: String,
}

/// A file that is finished.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Finished {
    pub path: String,
    pub size: u64,
    pub sha256: String,
}

/// What a manifest says besides.
pub(crate) struct Said<'a> {
    pub forms: &'a [Form],
    pub summary: &'a Summary,
    /// Rows whose content is withheld.
    pub withheld: &'a str,
}

/// Writes the manifest, with one finished file after the other as `made` has them, and gives the SHA-256 of it.
pub(crate) fn write(
    path: &Path,
    begun: &Begun,
    said: &Said<'_>,
    made: &Path,
) -> Result<[u8; 32], ExportError> {
    let Said { forms, summary, withheld } = said;
    let wrong = |error: std::io::Error| ExportError::Disk(path.to_owned(), error);
    let part = path.with_extension("part");
    let mut out = Hashed { file: BufWriter::new(open(&part, true)?), digest: Sha256::new() };
    let head = json!({
        "format": "RialtoX1",
        "node": begun.chain.split('/').next().unwrap_or_default(),
        "chain": begun.chain,
        "made": summary.made,
        "claim": summary.claim,
        "rows": summary.rows,
        "first": summary.first,
        "last": summary.last,
        "key": summary.key,
        "withheld": withheld,
        "export": { "row": begun.id, "begun": begun.at, "by": begun.who, "selection": begun.selection, "up_to": begun.to },
        "forms": forms,
        "program": format!("rialto {}", begun.version),
    });
    let head = serde_json::to_string_pretty(&head).unwrap_or_default();
    let head = head.trim_end().trim_end_matches('}').trim_end();
    write!(out, "{head},\n  \"files\": {{").map_err(wrong)?;
    let mut next = "\n";
    let read = |error: std::io::Error| ExportError::Disk(made.to_owned(), error);
    for line in BufReader::new(std::fs::File::open(made).map_err(read)?).lines() {
        let line = line.map_err(read)?;
        let file: Finished = serde_json::from_str(&line)
            .map_err(|e| ExportError::Other(format!("{}: {e}", made.display())))?;
        let name = serde_json::to_string(&file.path).unwrap_or_default();
        write!(out, "{next}    {name}: {{\"sha256\": \"{}\", \"size\": {}}}", file.sha256, file.size)
            .map_err(wrong)?;
        next = ",\n";
    }
    writeln!(out, "\n  }}\n}}").and_then(|()| out.flush()).map_err(wrong)?;
    out.file.get_ref().sync_all().map_err(wrong)?;
    std::fs::rename(&part, path).map_err(at(path))?;
    Ok(out.digest.finalize().into())
}

struct Hashed {
    file: BufWriter<std::fs::File>,
    digest: Sha256,
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.digest.update(bytes);
        self.file.write_all(bytes).map(|()| bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}
