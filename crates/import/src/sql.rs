//! The dump that `ejabberdctl export2sql` writes: of it, the archive. ejabberd's file of XEP-0227 has none.

use crate::bounded::Bounded;
use crate::{Bad, Hear, Said, hear_said, pie};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// Is this no XML?
pub(crate) fn is(path: &Path) -> Result<bool, Bad> {
    if path.is_dir() {
        return Ok(false);
    }
    let mut begin = Vec::new();
    let file = File::open(path).and_then(|file| file.take(1_024).read_to_end(&mut begin));
    file.map_err(|e| Bad::new(path.display(), e))?;
    let begin = begin.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&begin);
    Ok(begin.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'<'))
}

/// What a statement is made of.
#[derive(Debug, PartialEq)]
enum Token {
    Word(String),
    Text(Vec<u8>),
    Mark(u8),
}

struct Lexer<R> {
    from: Bounded<R>,
}

impl<R: BufRead> Lexer<R> {
    fn peek(&mut self) -> std::io::Result<Option<u8>> {
        Ok(self.from.fill_buf()?.first().copied())
    }

    fn take(&mut self) -> std::io::Result<Option<u8>> {
        let next = self.peek()?;
        if next.is_some() {
            self.from.consume(1);
        }
        Ok(next)
    }

    fn token(&mut self) -> std::io::Result<Option<Token>> {
        loop {
            let Some(byte) = self.take()? else { return Ok(None) };
            return Ok(Some(match byte {
                b if b.is_ascii_whitespace() => continue,
                b'-' if self.peek()? == Some(b'-') => {
                    while !matches!(self.take()?, None | Some(b'\n')) {}
                    continue;
                }
                b'\'' => Token::Text(self.text()?),
                b if b.is_ascii_alphanumeric() || b == b'_' || b == b'-' => {
                    let mut word = String::from(char::from(b));
                    while let Some(b) =
                        self.peek()?.filter(|b| b.is_ascii_alphanumeric() || b"_.".contains(b))
                    {
                        word.push(char::from(b));
                        self.from.consume(1);
                    }
                    Token::Word(word)
                }
                // Quotes around names.
                b'`' | b'"' => continue,
                b => Token::Mark(b),
            }));
        }
    }

    fn text(&mut self) -> std::io::Result<Vec<u8>> {
        let mut text = Vec::new();
        loop {
            match self.take()? {
                Some(b'\'') if self.peek()? == Some(b'\'') => {
                    self.from.consume(1);
                    text.push(b'\'');
                }
                Some(b'\\') => text.extend(self.take()?.map(|escaped| match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'0' => 0,
                    other => other,
                })),
                Some(b'\'') | None => return Ok(text),
                Some(byte) => text.push(byte),
            }
        }
    }
}

pub(crate) fn read(path: &Path, hear: &mut Hear<'_>) -> Result<(), Bad> {
    let file = File::open(path).map_err(|e| Bad::new(path.display(), e))?;
    let mut lexer = Lexer { from: Bounded::new(BufReader::new(file)) };
    let (mut statement, mut any) = (Vec::new(), false);
    loop {
        let place = format!("{}:{}", path.display(), lexer.from.began);
        match lexer.token().map_err(|e| Bad::new(&place, e))? {
            None => break,
            Some(Token::Mark(b';')) => {
                for found in rows(&statement) {
                    any = true;
                    hear_said(hear, found.and_then(|row| said(&row, &place)), &place)?;
                }
                statement.clear();
            }
            Some(token) => {
                if statement.is_empty() {
                    lexer.from.begin();
                }
                statement.push(token);
            }
        }
    }
    match any {
        true => Ok(()),
        false => Err(Bad::new(
            path.display(),
            "this is neither XML of XEP-0227 nor a dump with an archive: `ejabberdctl export_piefxis` and `export2sql` write such",
        )),
    }
}

type Row = Vec<(String, Vec<u8>)>;

/// The rows that a statement adds to the archive.
fn rows(statement: &[Token]) -> Vec<Result<Row, String>> {
    let is = |at: usize, word: &str| matches!(statement.get(at), Some(Token::Word(w)) if w.eq_ignore_ascii_case(word));
    if !(is(0, "insert") && is(1, "into") && is(2, "archive")) {
        return Vec::new();
    }
    let mut lists = statement[3..].split(|token| *token == Token::Mark(b'(')).skip(1);
    let list = |tokens: &[Token]| -> Vec<Vec<u8>> {
        let end = tokens.iter().position(|token| *token == Token::Mark(b')')).unwrap_or(tokens.len());
        let values = tokens[..end].split(|token| *token == Token::Mark(b','));
        let value = |tokens: &[Token]| match tokens.last() {
            Some(Token::Word(word)) => word.clone().into_bytes(),
            Some(Token::Text(text)) => text.clone(),
            _ => Vec::new(),
        };
        values.map(value).collect()
    };
    let names: Vec<String> = lists
        .next()
        .map(list)
        .unwrap_or_default()
        .into_iter()
        .map(|n| String::from_utf8_lossy(&n).into_owned())
        .collect();
    lists
        .map(|tokens| {
            let values = list(tokens);
            match values.len() == names.len() {
                true => Ok(names.iter().cloned().zip(values).collect()),
                false => Err(format!("{} values for {} columns", values.len(), names.len())),
            }
        })
        .collect()
}

fn said(row: &Row, place: &str) -> Result<Option<Said>, String> {
    let column = |name: &str| {
        let found = row.iter().find(|(key, _)| key == name).map(|(_, value)| value);
        let text = std::str::from_utf8(found.ok_or_else(|| format!("no column {name}"))?);
        text.map_err(|_| format!("column {name} is no UTF-8"))
    };
    // Microseconds.
    let at: u64 = column("timestamp")?.parse().map_err(|_| "its time is none")?;
    let mut stanza = pie::one(column("xml")?)?;
    if stanza.name != "message" {
        return Err(format!("<{}/> is no message", stanza.name));
    }
    stanza.ns = crate::element::CLIENT.to_owned();
    Said::new(at / 1_000, &stanza, place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{all, said};

    #[test]
    fn the_archive_of_a_dump_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("dump.sql");
        let columns = "archive(username, timestamp, peer, bare_peer, xml, txt, kind, nick)";
        let row = |xml: &str| {
            format!("('b', 1700000000250999, 'a@x', 'a@x', '{xml}', 'it''s; (\\\"x\\\")', 'chat', '')")
        };
        let one = row(
            "<message to=''b@y'' from=''a@x'' id=''i''><body>it&apos;s; (&quot;x&quot;), \\\\</body></message>",
        );
        std::fs::write(
            &file,
            format!(
                "-- \n-- Mnesia table: passwd\n--\ndelete from users where username='b' and 0=0;\n\
                 INSERT INTO users(username, password) VALUES ('b', 'archive');\nINSERT INTO {columns} VALUES {one};\n\
                 INSERT INTO {columns} VALUES {one}, {};\nINSERT INTO {columns} VALUES (1);\n",
                row("<presence/>")
            ),
        )
        .unwrap();
        assert_eq!(is(&file), Ok(true));
        let found = all(|hear| read(&file, hear));
        assert_eq!(found.len(), 4, "{found:?}");
        let first = said(&found[0]);
        assert_eq!((first.at, first.from.as_str(), first.to.as_str()), (1_700_000_000_250, "a@x", "b@y"));
        assert_eq!(first.parts.text.as_deref(), Some("it's; (\"x\"), \\"));
        assert_eq!(said(&found[1]).parts, first.parts);
        assert!(found[2].as_ref().unwrap_err().to_string().contains("dump.sql:7: <presence/> is no message"));
        assert!(found[3].as_ref().unwrap_err().why.contains("1 values for 8 columns"), "{found:?}");
        std::fs::write(&file, "nothing of the kind").unwrap();
        assert!(read(&file, &mut |_| Ok(())).unwrap_err().why.contains("export2sql"));
        std::fs::write(&file, " <server-data/>").unwrap();
        assert_eq!(is(&file), Ok(false));
    }
}
