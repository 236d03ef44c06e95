//! What a page tells its reader to type: indented blocks, and fenced ones.

/// A block of a page.
#[derive(Debug, PartialEq, Eq)]
pub enum Block {
    /// Lines for a shell, each whole.
    Shell(Vec<String>),
    /// Lines for the configuration.
    Toml(String),
    /// A policy.
    Policy(String),
}

/// The blocks of a page in their order. A fenced block says what it is (`sh`, `toml`, `policy`; anything else is for the eyes), an
/// indented one is configuration if it begins with a table, else commands.
pub fn blocks(page: &str) -> Vec<Block> {
    let (mut found, mut lines) = (Vec::new(), page.lines().peekable());
    // The column from which text is code: four past the text of the list item that it is in.
    let mut code = 4;
    while let Some(line) = lines.next() {
        let indent = line.len() - line.trim_start().len();
        let text = line.trim();
        if let Some(kind) = text.strip_prefix("```") {
            let inside: Vec<&str> = lines.by_ref().take_while(|l| !l.trim().starts_with("```")).collect();
            match kind {
                "sh" => found.push(shell(&inside)),
                "toml" => found.push(Block::Toml(inside.join("\n"))),
                "policy" => found.push(Block::Policy(inside.join("\n"))),
                "" => panic!("a fenced block without a language: {inside:?}"),
                _ => {}
            }
        } else if !text.is_empty() && indent >= code {
            let mut inside = vec![text];
            while let Some(next) =
                lines.next_if(|l| l.trim().is_empty() || l.starts_with(&" ".repeat(indent)))
            {
                inside.push(next.trim());
            }
            inside.retain(|l| !l.is_empty());
            let toml = text.starts_with('[');
            found.push(if toml { Block::Toml(inside.join("\n")) } else { shell(&inside) });
        } else if !text.is_empty() {
            let marker = text.split(' ').next().unwrap_or_default();
            let is_item = marker == "-" || marker.strip_suffix('.').is_some_and(|n| n.parse::<u8>().is_ok());
            code = match (is_item, indent) {
                (true, _) => indent + marker.len() + 5,
                (false, 0) => 4,
                (false, _) => code,
            };
        }
    }
    found
}

fn shell(lines: &[&str]) -> Block {
    let mut whole: Vec<String> = Vec::new();
    for line in lines {
        match whole.last_mut() {
            Some(last) if last.ends_with('\\') => {
                last.truncate(last.len() - 1);
                last.push_str(line.trim_start());
            }
            _ => whole.push((*line).to_owned()),
        }
    }
    Block::Shell(whole)
}

#[test]
fn blocks_are_told_apart() {
    let page = "# T\n\n    a \\\n      b\n    c   # d\n\n1. Do\n\n       e\n\n   text\n\n    no code in an item\n\n```text\nx\n```\n\n\
        End.\n\n    [t]\n    k = 1\n\n    [u]\n\n```sh\nf\n```\n";
    let sh = |lines: &[&str]| Block::Shell(lines.iter().map(ToString::to_string).collect());
    let toml = Block::Toml("[t]\nk = 1\n[u]".into());
    assert_eq!(blocks(page), [sh(&["a b", "c   # d"]), sh(&["e"]), toml, sh(&["f"])]);
}
