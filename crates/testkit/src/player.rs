use crate::{Clock, Names};
use model::{Now, Tick};
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

/// Set this, and a transcript that differs is rewritten instead: what went in stays, what came out is replaced, and
/// lines that fit keep their placeholders.
const UPDATE: &str = "UPDATE_TRANSCRIPTS";

/// What a transcript is played on: one machine, or a house of several.
///
/// ```text
/// # a remark
/// << 192.0.2.1:5060     bytes in; where they are a block, up to a line with a single dot
/// <= settled 3 accepted another input
/// +500ms  +30s          time moves; what is due happens in between
/// >> ...                bytes out; {name} captures, {any} ignores
/// => ack 7 delivered    another output
/// % word                anything else is for the stage
/// ```
/// Before `<<`, `>>` and so on may stand a name, where the stage has more than one side: `sip>>`.
pub trait Stage {
    /// True where the bytes of this side are written as blocks of lines, false where they stand behind the mark.
    fn is_block(&self, who: &str) -> bool;

    /// Takes one step in. What comes of it is asked for with [`Stage::output`].
    fn input(&mut self, clock: &mut Clock, step: &Step<'_>, names: &mut Names);

    /// The next output of a side, written as in a transcript, mark included and name not.
    fn output(&mut self, now: Now, who: &str) -> Option<String>;

    /// The same where the transcript expects nothing: a stage whose parts work at the same time waits in
    /// [`Stage::output`], but hardly here.
    fn surplus(&mut self, now: Now, who: &str) -> Option<String> {
        self.output(now, who)
    }

    /// The sides, in the order in which outputs are written down. One without a name unless said otherwise.
    fn sides(&self) -> Vec<String> {
        vec![String::new()]
    }

    /// When it next wants to be ticked.
    fn deadline(&self) -> Option<Tick>;

    /// Its deadline has come.
    fn tick(&mut self, now: Now);
}

/// One line of a transcript, with its block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step<'a> {
    /// Which side, where there are several.
    pub who: &'a str,
    /// `<<`, `<=`, or the first word of a line that is none of ours.
    pub mark: &'a str,
    /// The rest of the line.
    pub rest: &'a str,
    /// The block of a `<<`.
    pub block: Vec<&'a str>,
}

impl<'a> Step<'a> {
    /// A step of one line.
    pub fn line(line: &'a str) -> Self {
        let (mark, rest) = line.split_once(' ').unwrap_or((line, ""));
        let at = mark.find(['<', '>', '=']).unwrap_or(0);
        let (who, mark) = if at > 0 && is_ours(&mark[at..]) { mark.split_at(at) } else { ("", mark) };
        Self { who, mark, rest: rest.trim_end(), block: Vec::new() }
    }

    fn is_output(&self) -> bool {
        matches!(self.mark, ">>" | "=>")
    }

    /// As an output is written.
    fn pattern(&self) -> String {
        let mut text = format!("{} {}", self.mark, self.rest).trim_end().to_owned();
        for line in &self.block {
            let _ = write!(text, "\n{line}");
        }
        text
    }
}

fn is_ours(mark: &str) -> bool {
    matches!(mark, "<<" | "<=" | ">>" | "=>")
}

/// Plays one file.
///
/// # Panics
/// Where the transcript and what happened differ.
pub fn play(path: &Path, stage: &mut dyn Stage) {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let update = std::env::var_os(UPDATE).is_some();
    let played = run(&text, stage, update).unwrap_or_else(|fault| panic!("{}:{fault}", path.display()));
    if update && played != text {
        std::fs::write(path, played).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    }
}

/// Plays every `.txt` file of a folder, each on a stage of its own. How many there were.
///
/// # Panics
/// As [`play`].
pub fn play_folder<S: Stage>(folder: &Path, stage: impl Fn() -> S) -> usize {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|file| file.extension().is_some_and(|ending| ending == "txt"));
    files.sort();
    for file in &files {
        play(file, &mut stage());
    }
    files.len()
}

/// Gives the transcript as it should be, or where and how it differs.
fn run(text: &str, stage: &mut dyn Stage, update: bool) -> Result<String, String> {
    let (mut clock, mut names) = (Clock::start(), Names::default());
    let mut played = String::new();
    let mut lines = text.lines().enumerate();
    while let Some((at, line)) = lines.next() {
        let mut step = Step::line(line);
        let mut raw = line.to_owned();
        if matches!(step.mark, "<<" | ">>") && stage.is_block(step.who) {
            for (_, line) in lines.by_ref().take_while(|(_, line)| *line != ".") {
                step.block.push(line);
                let _ = write!(raw, "\n{line}");
            }
            raw.push_str("\n.");
        }
        let at = at + 1;
        if step.is_output() {
            let wanted = step.pattern();
            let got = stage.output(clock.now(), step.who);
            match &got {
                Some(got) if names.take(&wanted, got) => played.push_str(&raw),
                Some(got) if update => played.push_str(&written(step.who, got, stage)),
                None if update => continue,
                got => {
                    let got = got.as_deref().unwrap_or("nothing");
                    return Err(format!("{at}: expected\n{wanted}\n--- but got\n{got}\n--- with {names:?}"));
                }
            }
            played.push('\n');
            continue;
        }
        let remark = |line: &str| line.is_empty() || line.starts_with('#');
        // A remark belongs to what follows it.
        let next = text.lines().skip(at - 1).find(|line| !remark(line)).unwrap_or_default();
        if !Step::line(next).is_output() {
            rest(stage, &clock, update, &mut played, at)?;
        }
        if !remark(line) {
            match step.mark.strip_prefix('+').and_then(duration) {
                Some(by) => pass(stage, &mut clock, by),
                None => stage.input(&mut clock, &step, &mut names),
            }
        }
        played.push_str(&raw);
        played.push('\n');
    }
    rest(stage, &clock, update, &mut played, text.lines().count() + 1)?;
    Ok(played)
}

/// Nothing may be left to come out before something goes in.
fn rest(
    stage: &mut dyn Stage,
    clock: &Clock,
    update: bool,
    played: &mut String,
    at: usize,
) -> Result<(), String> {
    for who in stage.sides() {
        while let Some(got) = stage.surplus(clock.now(), &who) {
            let got = written(&who, &got, stage);
            if !update {
                return Err(format!("{at}: before this came\n{got}"));
            }
            played.push_str(&got);
            played.push('\n');
        }
    }
    Ok(())
}

fn written(who: &str, output: &str, stage: &dyn Stage) -> String {
    let end = if output.starts_with(">>") && stage.is_block(who) { "\n." } else { "" };
    format!("{who}{output}{end}")
}

fn duration(text: &str) -> Option<Duration> {
    match text.strip_suffix("ms") {
        Some(ms) => ms.parse().ok().map(Duration::from_millis),
        None => text.strip_suffix('s')?.parse().ok().map(Duration::from_secs),
    }
}

/// Lets time pass; everything due on the way happens at its moment.
fn pass(stage: &mut dyn Stage, clock: &mut Clock, by: Duration) {
    let end = clock.now().tick + by;
    while let Some(due) = stage.deadline().filter(|due| *due <= end) {
        clock.move_to(due);
        stage.tick(clock.now());
        assert!(stage.deadline().is_none_or(|next| next > due), "a tick that does not move on");
    }
    clock.move_to(end);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    /// Says everything twice, the second time after a second.
    #[derive(Default)]
    struct Echo {
        out: VecDeque<String>,
        later: Option<(Tick, String)>,
    }

    impl Stage for Echo {
        fn is_block(&self, _: &str) -> bool {
            true
        }

        fn input(&mut self, clock: &mut Clock, step: &Step<'_>, names: &mut Names) {
            let said = names.fill(&step.block.join("\n"));
            self.out.push_back(format!(">>\n{said}"));
            self.later = Some((clock.now().tick + Duration::from_secs(1), said));
        }

        fn output(&mut self, _: Now, _: &str) -> Option<String> {
            self.out.pop_front()
        }

        fn deadline(&self) -> Option<Tick> {
            self.later.as_ref().map(|(due, _)| *due)
        }

        fn tick(&mut self, now: Now) {
            let (due, said) = self.later.take().unwrap();
            assert_eq!(now.tick, due);
            self.out.push_back(format!("=> later {} {said}", now.wall.0 - Clock::START.0));
        }
    }

    const GOLDEN: &str = "# talk\n<<\nhello you\n.\n>>\nhello {who}\n.\n+3s\n=> later 1000 hello {who}\n";

    fn played(text: &str, update: bool) -> Result<String, String> {
        run(text, &mut Echo::default(), update)
    }

    #[test]
    fn a_true_transcript_plays_and_stays() {
        assert_eq!(played(GOLDEN, false).as_deref(), Ok(GOLDEN));
        assert_eq!(played(GOLDEN, true).as_deref(), Ok(GOLDEN));
    }

    #[test]
    fn a_false_one_is_shown_or_rewritten() {
        let wrong = GOLDEN.replace("=> later 1000 hello {who}\n", "");
        assert!(played(&wrong, false).unwrap_err().starts_with("9: before this came\n=> later 1000"));
        assert_eq!(played(&wrong, true).unwrap(), format!("{wrong}=> later 1000 hello you\n"));
        let wrong = GOLDEN.replace("hello {who}\n.", "bye {who}\n.");
        assert!(played(&wrong, false).unwrap_err().starts_with("5: expected"));
        let renewed = GOLDEN.replace(">>\nhello {who}", ">>\nhello you");
        assert_eq!(played(&wrong, true).unwrap(), renewed);
    }

    #[test]
    fn sides_have_names() {
        let step = Step::line("sip>> 192.0.2.1:5060");
        assert_eq!((step.who, step.mark, step.rest), ("sip", ">>", "192.0.2.1:5060"));
        assert_eq!(Step::line("<message to='x'>").mark, "<message");
        assert_eq!(Step::line("% session").rest, "session");
    }
}
