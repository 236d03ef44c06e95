//! One day in each form.

use crate::begun::Form;
use crate::book::{Book, Conversation};
use crate::days::{self, Day, Seat};
use crate::disk::{ExportError, at};
use crate::eml::letter;
use crate::entry::Entry;
use crate::talks::{self, Place, Talks};
use crate::{csv, xml};
use std::fs::File;
use std::path::Path;

/// Where forms go.
pub(crate) trait Shelf {
    /// More of a file that grows.
    fn grow(&mut self, name: &str, bytes: &[u8]) -> Result<(), ExportError>;

    /// A whole file.
    fn put(&mut self, name: &str, bytes: &[u8]) -> Result<(), ExportError>;

    /// The content of a file that somebody sent within a message.
    fn keep(&mut self, sha256: &str, bytes: &[u8]) -> Result<(), ExportError>;
}

/// The name of the file that has all of it in this form.
pub(crate) fn whole(form: Form) -> Option<&'static str> {
    match form {
        Form::Jsonl => Some("messages.jsonl"),
        Form::Csv => Some("messages.csv"),
        Form::Eml | Form::Xml | Form::Xep0227 => None,
    }
}

/// What a file begins with.
pub(crate) fn head(form: Form) -> Vec<u8> {
    if form == Form::Csv { csv::head() } else { Vec::new() }
}

/// A day of the evidence.
pub(crate) struct Source<'a> {
    pub dir: &'a Path,
    pub rows: &'a File,
    /// Where days are sorted.
    pub sorted: &'a Path,
    pub book: &'a Book,
    pub name: &'a str,
}

impl Source<'_> {
    fn read(&self, seats: Vec<Seat>, shelf: &mut dyn Shelf) -> Result<Vec<Entry>, ExportError> {
        let mut entries = days::entries(self.rows, seats)?;
        for file in entries.iter_mut().flat_map(|entry| &mut entry.attachments) {
            if let (Some(bytes), Some(sha256)) = (&file.content, &file.sha256) {
                shelf.keep(sha256, bytes)?;
                file.path = Some(format!("blobs/{sha256}"));
            }
        }
        Ok(entries)
    }

    /// All forms of the day; says how many rows it has.
    pub fn write(&self, forms: &[Form], shelf: &mut dyn Shelf) -> Result<u64, ExportError> {
        let mut day = Day::open(self.sorted, self.name)?;
        let rows = day.rows;
        let tables: Vec<Form> = forms.iter().copied().filter(|form| whole(*form).is_some()).collect();
        while !tables.is_empty() {
            let piece = day.piece()?;
            if piece.is_empty() {
                break;
            }
            let entries = self.read(piece, shelf)?;
            for form in &tables {
                let bytes = match form {
                    Form::Csv => csv::rows(entries.iter()),
                    _ => json_lines(&entries),
                };
                shelf.grow(whole(*form).unwrap_or_default(), &bytes)?;
            }
        }
        if forms.iter().any(|form| matches!(form, Form::Eml | Form::Xml)) {
            let talks = Talks::lay(self.sorted, Day::open(self.sorted, self.name)?)?;
            self.conversations(&talks, forms, shelf)?;
        }
        Ok(rows)
    }

    fn conversations(&self, talks: &Talks, forms: &[Form], shelf: &mut dyn Shelf) -> Result<(), ExportError> {
        let (mut day_xml, with_xml) = (xml::head(self.book), forms.contains(&Form::Xml));
        let mut part_of_day = 0;
        for share in 0..talks.shares() {
            for talk in talks.share(share)?.chunk_by(|a, b| a.conversation() == b.conversation()) {
                let parts = talks::parts(talk);
                for (at, part) in parts.iter().enumerate() {
                    let of = Conversation {
                        day: self.name.to_owned(),
                        number: part.first().map_or(0, Place::conversation),
                        part: at + 1,
                        parts: parts.len(),
                        entries: self.read(talks.seats(part)?, shelf)?,
                    };
                    if forms.contains(&Form::Eml) {
                        let mail = letter(self.book, &of, |path| content(self.dir, path));
                        let mail =
                            mail.map_err(|e| ExportError::Other(format!("a file that was sent: {e}")))?;
                        shelf.put(&format!("eml/{}/{}.eml", self.name, file_name(&of)), &mail.bytes)?;
                    }
                    if with_xml {
                        xml::conversation(&of, &mut day_xml);
                        if day_xml.len() > 32 << 20 {
                            part_of_day += 1;
                            self.put_xml(&mut day_xml, part_of_day, shelf)?;
                        }
                    }
                }
            }
        }
        if with_xml && day_xml.len() > xml::head(self.book).len() {
            part_of_day += 1;
            self.put_xml(&mut day_xml, part_of_day, shelf)?;
        }
        Ok(())
    }

    fn put_xml(&self, text: &mut String, part: usize, shelf: &mut dyn Shelf) -> Result<(), ExportError> {
        text.push_str(xml::FOOT);
        let part = if part > 1 { format!("-{part}") } else { String::new() };
        shelf.put(&format!("xml/{}{part}.xml", self.name), text.as_bytes())?;
        *text = xml::head(self.book);
        Ok(())
    }
}

fn json_lines(entries: &[Entry]) -> Vec<u8> {
    let mut out = Vec::with_capacity(entries.len() * 512);
    for entry in entries {
        // Texts and numbers: nothing that JSON could not hold.
        if serde_json::to_writer(&mut out, entry).is_ok() {
            out.push(b'\n');
        }
    }
    out
}

fn content(dir: &Path, path: &str) -> std::io::Result<Option<Vec<u8>>> {
    match std::fs::read(dir.join(path)) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// A name that any system can have for a file, and that says who is in it.
fn file_name(of: &Conversation) -> String {
    let plain = |who: &str| -> String {
        let fits = |c: char| c.is_ascii_alphanumeric() || "-._@".contains(c);
        who.chars().map(|c| if fits(c) { c } else { '_' }).take(60).collect()
    };
    let people: Vec<String> = of.people().into_iter().take(2).map(plain).collect();
    let part = if of.parts > 1 { format!("-{}", of.part) } else { String::new() };
    format!("{:06}-{}{part}", of.number, people.join("-"))
}

/// Makes a directory for each kind of form.
pub(crate) fn parent(path: &Path) -> Result<(), ExportError> {
    match path.parent() {
        Some(dir) if !dir.exists() => crate::disk::make_dir(dir),
        Some(dir) if !dir.is_dir() => Err(at(dir)(std::io::Error::other("is no directory"))),
        _ => Ok(()),
    }
}
