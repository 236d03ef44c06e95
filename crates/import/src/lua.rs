//! Lua's literals, as Prosody writes its data: strings, numbers, truths and tables. Nothing is run.

/// Tables within tables, at most.
const DEEPEST: usize = 64;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Nil,
    Truth(bool),
    Number(f64),
    Text(Vec<u8>),
    Table(Vec<(Value, Value)>),
}

impl Value {
    pub fn text(&self) -> Option<String> {
        match self {
            Self::Text(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
            _ => None,
        }
    }

    /// Its pairs, if it is a table.
    pub fn pairs(&self) -> &[(Value, Value)] {
        if let Self::Table(all) = self { all } else { &[] }
    }

    pub fn get(&self, key: &str) -> Option<&Value> {
        let Self::Table(all) = self else { return None };
        all.iter().find(|(k, _)| matches!(k, Self::Text(name) if name == key.as_bytes())).map(|(_, v)| v)
    }

    /// What has a number for a key, in order.
    pub fn items(&self) -> Vec<&Value> {
        let Self::Table(all) = self else { return Vec::new() };
        let mut items: Vec<(f64, &Value)> = all
            .iter()
            .filter_map(|(k, v)| match k {
                Self::Number(n) => Some((*n, v)),
                _ => None,
            })
            .collect();
        items.sort_by(|a, b| a.0.total_cmp(&b.0));
        items.into_iter().map(|(_, v)| v).collect()
    }
}

/// Reads a file of `item(...)` after the other. Of each: the line where it begins, and what it is or why it cannot be read.
pub(crate) fn items(text: &str) -> Vec<(usize, Result<Value, String>)> {
    let mut all = Vec::new();
    let mut reader = Reader { bytes: text.as_bytes(), at: 0 };
    // Counted on from item to item: an archive may have very many.
    let (mut line, mut counted) = (1, 0);
    loop {
        reader.space();
        let begun = reader.at;
        line += reader.bytes[counted..begun].iter().filter(|b| **b == b'\n').count();
        counted = begun;
        if reader.at >= reader.bytes.len() {
            return all;
        }
        let read = (|| {
            reader.word("item")?;
            reader.mark(b'(')?;
            let value = reader.value(0)?;
            reader.mark(b')')?;
            reader.optional(b';');
            Ok(value)
        })();
        let broken = read.is_err();
        all.push((line, read));
        if broken {
            // The next item may stand within what was taken for this one.
            reader.at = begun;
            if !reader.skip_to_next_item() {
                return all;
            }
        }
    }
}

/// Reads a file that returns one value.
pub(crate) fn document(text: &str) -> Result<Value, String> {
    let mut reader = Reader { bytes: text.as_bytes(), at: 0 };
    reader.word("return")?;
    let value = reader.value(0)?;
    reader.optional(b';');
    reader.space();
    match reader.peek() {
        None => Ok(value),
        Some(_) => Err(format!("line {}: expected the end", reader.line())),
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn line(&self) -> usize {
        self.bytes[..self.at.min(self.bytes.len())].iter().filter(|b| **b == b'\n').count() + 1
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn space(&mut self) {
        while self.peek().is_some_and(|b| b.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    fn optional(&mut self, mark: u8) -> bool {
        self.space();
        let there = self.peek() == Some(mark);
        self.at += usize::from(there);
        there
    }

    fn mark(&mut self, mark: u8) -> Result<(), String> {
        match self.optional(mark) {
            true => Ok(()),
            false => Err(format!("line {}: expected {:?}", self.line(), char::from(mark))),
        }
    }

    fn word(&mut self, word: &str) -> Result<(), String> {
        self.space();
        match self.bytes[self.at..].starts_with(word.as_bytes()) {
            true => {
                self.at += word.len();
                Ok(())
            }
            false => Err(format!("line {}: expected `{word}`", self.line())),
        }
    }

    /// After something broken: to the next line that begins with an item.
    fn skip_to_next_item(&mut self) -> bool {
        while let Some(end) = self.bytes[self.at.min(self.bytes.len())..].iter().position(|b| *b == b'\n') {
            self.at += end + 1;
            if self.bytes[self.at..].starts_with(b"item(") {
                return true;
            }
        }
        false
    }

    fn value(&mut self, depth: usize) -> Result<Value, String> {
        self.space();
        if depth > DEEPEST {
            return Err(format!("line {}: tables too deep within one another", self.line()));
        }
        match self.peek() {
            Some(b'{') => self.table(depth),
            Some(quote @ (b'"' | b'\'')) => self.string(quote).map(Value::Text),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => {
                for (word, value) in
                    [("nil", Value::Nil), ("true", Value::Truth(true)), ("false", Value::Truth(false))]
                {
                    if self.word(word).is_ok() {
                        return Ok(value);
                    }
                }
                Err(format!("line {}: expected a value", self.line()))
            }
        }
    }

    fn number(&mut self) -> Result<Value, String> {
        let begin = self.at;
        while self.peek().is_some_and(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b)) {
            self.at += 1;
        }
        let text = std::str::from_utf8(&self.bytes[begin..self.at]).unwrap_or_default();
        text.parse().map(Value::Number).map_err(|_| format!("line {}: {text:?} is no number", self.line()))
    }

    fn string(&mut self, quote: u8) -> Result<Vec<u8>, String> {
        let line = self.line();
        self.at += 1;
        let mut out = Vec::new();
        loop {
            let Some(byte) = self.peek() else { return Err(format!("line {line}: a string without end")) };
            self.at += 1;
            match byte {
                b if b == quote => return Ok(out),
                b'\\' => {
                    let Some(escaped) = self.peek() else { continue };
                    self.at += 1;
                    match escaped {
                        b'n' => out.push(b'\n'),
                        b'r' => out.push(b'\r'),
                        b't' => out.push(b'\t'),
                        b'a' => out.push(7),
                        b'b' => out.push(8),
                        b'f' => out.push(12),
                        b'v' => out.push(11),
                        b'0'..=b'9' => {
                            let mut number = u32::from(escaped - b'0');
                            for _ in 0..2 {
                                let Some(digit) = self.peek().filter(u8::is_ascii_digit) else { break };
                                number = number * 10 + u32::from(digit - b'0');
                                self.at += 1;
                            }
                            out.push(u8::try_from(number).map_err(|_| format!("line {line}: no such byte"))?);
                        }
                        other => out.push(other),
                    }
                }
                b => out.push(b),
            }
        }
    }

    fn table(&mut self, depth: usize) -> Result<Value, String> {
        self.at += 1;
        let (mut all, mut next) = (Vec::new(), 1.0);
        loop {
            if self.optional(b'}') {
                return Ok(Value::Table(all));
            }
            if self.optional(b'[') {
                let key = self.value(depth + 1)?;
                self.mark(b']')?;
                self.mark(b'=')?;
                all.push((key, self.value(depth + 1)?));
            } else if let Some(name) = self.name() {
                self.mark(b'=')?;
                all.push((Value::Text(name), self.value(depth + 1)?));
            } else {
                all.push((Value::Number(next), self.value(depth + 1)?));
                next += 1.0;
            }
            if !self.optional(b';') && !self.optional(b',') {
                self.mark(b'}')?;
                return Ok(Value::Table(all));
            }
        }
    }

    /// `name =`, and not a value.
    fn name(&mut self) -> Option<Vec<u8>> {
        let begin = self.at;
        let rest = &self.bytes[begin..];
        let len = rest.iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').count();
        let after = rest[len..].iter().find(|b| !b.is_ascii_whitespace());
        if len == 0 || rest[0].is_ascii_digit() || after != Some(&b'=') {
            return None;
        }
        self.at += len;
        Some(rest[..len].to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lua_writes_is_read() {
        let text = "item({\n\t{\n\t\t\"hi \\\"you\\\"\\n\\195\\169\";\n\t\t[\"name\"] = \"body\";\n\t\tattr = {};\n\t};\n\t[\"when\"] = 1700000000.12;\n\tok = true, no = nil});\nitem({1,\nitem({2});\nnonsense\n";
        let all = items(text);
        let first = all[0].1.as_ref().unwrap();
        assert_eq!(all[0].0, 1);
        assert_eq!(first.get("when"), Some(&Value::Number(1_700_000_000.12)));
        assert_eq!(first.items()[0].items()[0].text().unwrap(), "hi \"you\"\né");
        assert_eq!(first.get("ok"), Some(&Value::Truth(true)));
        assert!(all[1].1.is_err() && all[1].0 == 9, "{all:?}");
        assert_eq!(all[2].1.as_ref().unwrap().items(), [&Value::Number(2.0)]);
        assert!(all[3].1.as_ref().unwrap_err().starts_with("line 11: expected `item`"), "{all:?}");
        assert!(items(&format!("item({})", "{".repeat(10_000)))[0].1.is_err());
        let document = document("return {\n\t[false] = { [\"version\"] = 3; };\n\tx = \"y\";\n};\n").unwrap();
        assert_eq!(document.pairs()[0].0, Value::Truth(false));
        assert_eq!(document.get("x").and_then(Value::text).as_deref(), Some("y"));
        assert!(super::document("return { } print(1)").unwrap_err().contains("the end"));
    }
}
