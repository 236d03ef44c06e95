//! YARA rules: what files and texts are known by. Rules are read from files, again when these change; each look has a time
//! limit, and a bounded piece of a file is in memory at a time.

use crate::turns::Turns;
use boreal::Compiler;
use boreal::compiler::CompilerParams;
use boreal::scanner::{CallbackEvents, ScanCallbackResult, ScanError, ScanEvent, ScanParams, Scanner};
use parking_lot::{Mutex, RwLock};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime};

/// Files are looked into in pieces of so many bytes, and so many bytes of each are in the next one, too.
const PIECE: usize = 32 << 20;
/// Most of what is looked into is not that long, and takes no more memory than it has bytes.
const SHORT: usize = 1 << 20;
const OVERLAP: usize = 1 << 20;

/// Which rules, and how they are used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct YaraSettings {
    /// Their files.
    pub files: Vec<PathBuf>,
    /// How long one look may take, waiting for a turn not included.
    pub patience: Duration,
    /// How many looks at a time; each may take 32 MiB.
    pub at_once: usize,
    /// Texts of messages are looked into as well as files.
    pub texts: bool,
    /// True: what could not be looked into passes, and the record says so. False: it is held.
    pub fail_open: bool,
}

/// How the rules are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct YaraView {
    /// How many there are.
    pub rules: usize,
    /// Files and texts that were looked into.
    pub scanned: u64,
    /// Those in which something was found.
    pub found: u64,
    /// Those that could not be looked into.
    pub failed: u64,
    /// Microseconds that it took.
    pub micros: u64,
    /// Why the rules could not be read when that was last tried; those of before hold.
    pub trouble: Option<String>,
}

/// A file's time and length: what shows that it has changed.
type Mark = Option<(SystemTime, u64)>;

fn marks(files: &[PathBuf]) -> Vec<Mark> {
    let mark = |file: &PathBuf| {
        let meta = file.metadata().ok()?;
        Some((meta.modified().ok()?, meta.len()))
    };
    files.iter().map(mark).collect()
}

/// Are these rules? Reads them.
///
/// # Errors
/// File, line and column, and what is wrong there.
pub fn check(files: &[PathBuf]) -> Result<(), String> {
    compile(files).map(drop)
}

fn compile(files: &[PathBuf]) -> Result<Scanner, String> {
    let mut compiler = Compiler::new();
    // What is looked at is what the configuration names.
    compiler.set_params(CompilerParams::default().disable_includes(true));
    for file in files {
        let space = file.file_stem().unwrap_or_default().to_string_lossy();
        compiler
            .add_rules_file_in_namespace(file, &*space)
            .map_err(|error| first_line(file, &error.to_string()))?;
    }
    Ok(compiler.finalize())
}

/// One line that names the file.
fn first_line(file: &Path, error: &str) -> String {
    let line = error.lines().next().unwrap_or_default();
    match line.contains(&*file.to_string_lossy()) {
        true => line.to_owned(),
        false => format!("{}: {line}", file.display()),
    }
}

struct Rules {
    scanner: Arc<Scanner>,
    count: usize,
    marks: Vec<Mark>,
}

/// Looks for what rules describe.
pub(crate) struct Yara {
    pub settings: YaraSettings,
    rules: RwLock<Rules>,
    trouble: Mutex<Option<String>>,
    turns: Turns,
    counts: [AtomicU64; 3],
    micros: AtomicU64,
}

impl Yara {
    /// Reads the rules; those of before hold where that fails.
    pub fn new(settings: YaraSettings, before: Option<&Self>) -> Self {
        let none = || Rules { scanner: Arc::new(Compiler::new().finalize()), count: 0, marks: Vec::new() };
        let old = before.map(|before| {
            let rules = before.rules.read();
            Rules { scanner: rules.scanner.clone(), count: rules.count, marks: Vec::new() }
        });
        let yara = Self {
            turns: Turns::new(settings.at_once),
            settings,
            rules: RwLock::new(old.unwrap_or_else(none)),
            trouble: Mutex::default(),
            counts: Default::default(),
            micros: AtomicU64::new(0),
        };
        yara.refresh();
        yara
    }

    /// Reads the rules again if a file has changed. Long.
    pub fn refresh(&self) {
        let marks = marks(&self.settings.files);
        if self.rules.read().marks == marks {
            return;
        }
        let trouble = match compile(&self.settings.files) {
            Ok(scanner) => {
                let params = ScanParams::default()
                    .timeout_duration(Some(self.settings.patience))
                    .compute_full_matches(false)
                    .callback_events(CallbackEvents::RULE_MATCH);
                let count = scanner.rules().count();
                let mut scanner = scanner;
                scanner.set_scan_params(params);
                tracing::info!(rules = count, files = marks.len(), "read YARA rules");
                *self.rules.write() = Rules { scanner: Arc::new(scanner), count, marks };
                None
            }
            Err(why) => {
                tracing::error!(why, "YARA rules cannot be read; those of before hold");
                // It is tried again when a file changes.
                self.rules.write().marks = marks;
                Some(why)
            }
        };
        *self.trouble.lock() = trouble;
    }

    /// The first rule that describes something in it.
    ///
    /// # Errors
    /// In words, why it could not be looked into.
    pub fn scan(&self, file: &mut dyn Read) -> Result<Option<String>, String> {
        let begun = Instant::now();
        let end = match self.turns.take(self.settings.patience) {
            Some(_turn) => self.pieces(file),
            None => Err("too much is being looked into".to_owned()),
        };
        self.micros.fetch_add(u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX), Relaxed);
        let count = match &end {
            Ok(None) => 0,
            Ok(Some(_)) => 1,
            Err(_) => 2,
        };
        self.counts[count].fetch_add(1, Relaxed);
        end
    }

    fn pieces(&self, file: &mut dyn Read) -> Result<Option<String>, String> {
        let scanner = self.rules.read().scanner.clone();
        let mut piece = Vec::new();
        loop {
            let kept = piece.len();
            let room = PIECE - kept;
            let mut new = fill(file, SHORT.min(room), &mut piece)?;
            if new == SHORT {
                piece.reserve_exact(room - new);
                new += fill(file, room - new, &mut piece)?;
            }
            // An empty file is a file; an empty rest is none.
            if new == 0 && kept > 0 {
                return Ok(None);
            }
            if let Some(rule) = first(&scanner, &piece)? {
                return Ok(Some(rule));
            }
            if new < room {
                return Ok(None);
            }
            piece.drain(..PIECE - OVERLAP);
        }
    }

    pub fn view(&self) -> YaraView {
        let [clean, found, failed] = [0, 1, 2].map(|i: usize| self.counts[i].load(Relaxed));
        YaraView {
            rules: self.rules.read().count,
            scanned: clean + found,
            found,
            failed,
            micros: self.micros.load(Relaxed),
            trouble: self.trouble.lock().clone(),
        }
    }
}

/// Reads so many bytes more, or up to the end: how many.
fn fill(file: &mut dyn Read, most: usize, piece: &mut Vec<u8>) -> Result<usize, String> {
    file.take(most as u64).read_to_end(piece).map_err(|error| error.to_string())
}

/// The first rule that matches; nobody needs to know the others.
fn first(scanner: &Scanner, bytes: &[u8]) -> Result<Option<String>, String> {
    let mut found = None;
    let scanned = scanner.scan_mem_with_callback(bytes, |event| match event {
        ScanEvent::RuleMatch(rule) => {
            found = Some(rule.name.to_owned());
            ScanCallbackResult::Abort
        }
        _ => ScanCallbackResult::Continue,
    });
    match scanned {
        _ if found.is_some() => Ok(found),
        Ok(()) | Err(ScanError::CallbackAbort) => Ok(None),
        Err(ScanError::Timeout) => Err("its YARA rules take too long".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    const EVIL: &str = "rule evil { strings: $a = \"wicked\" nocase condition: $a }\n";

    fn settings(files: &[&Path]) -> YaraSettings {
        YaraSettings {
            files: files.iter().map(|file| file.to_path_buf()).collect(),
            patience: Duration::from_secs(20),
            at_once: 2,
            texts: true,
            fail_open: false,
        }
    }

    fn write(file: &Path, text: &str) {
        std::fs::write(file, text).unwrap();
    }

    #[test]
    fn rules_hit_miss_change_and_are_wrong() {
        let dir = tempfile::tempdir().unwrap();
        let (one, other) = (dir.path().join("one.yar"), dir.path().join("other.yar"));
        write(&one, EVIL);
        write(
            &other,
            "import \"pe\"\nrule program { condition: pe.is_pe }\nrule end { strings: $e = { 45 4e 44 } condition: $e at filesize - 3 }\n",
        );
        let yara = Yara::new(settings(&[&one, &other]), None);
        let scan = |bytes: &[u8]| yara.scan(&mut &bytes[..]).unwrap();
        assert_eq!(scan(b"something WICKED this way comes").as_deref(), Some("evil"));
        assert_eq!(scan(b"the END").as_deref(), Some("end"));
        assert_eq!(scan(b"nothing of the kind"), None);
        assert_eq!(scan(b""), None);
        assert_eq!((yara.view().rules, yara.view().scanned, yara.view().found), (3, 4, 2));
        // What is wrong is told with its place, and what was before holds.
        write(&one, "rule good { condition: false }\nrule bad { condition: nonsense }\n");
        yara.refresh();
        let trouble = yara.view().trouble.expect("a mistake");
        assert!(trouble.contains("one.yar:2:") && trouble.contains("nonsense"), "{trouble}");
        assert_eq!(scan(b"wicked").as_deref(), Some("evil"));
        write(&one, "include \"/etc/passwd\"\n");
        assert!(compile(std::slice::from_ref(&one)).is_err_and(|why| why.contains("one.yar:1:")));
        assert!(compile(&[dir.path().join("none.yar")]).is_err_and(|why| why.contains("none.yar")));
        write(&one, "rule kind { strings: $a = \"gentle\" condition: $a }\n");
        yara.refresh();
        assert_eq!((scan(b"wicked"), scan(b"gentle").as_deref()), (None, Some("kind")));
        assert_eq!(yara.view().trouble, None);
    }

    #[test]
    fn large_files_are_looked_into_piece_by_piece() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("r.yar");
        write(&file, EVIL);
        let yara = Yara::new(settings(&[&file]), None);
        let zeros = |n: usize| io::repeat(0).take(n as u64);
        // Across the end of a piece, and far behind it.
        for before in [PIECE - 3, 2 * PIECE + 5] {
            let mut long = zeros(before).chain(&b"wicked"[..]).chain(zeros(PIECE));
            assert_eq!(yara.scan(&mut long).unwrap().as_deref(), Some("evil"), "{before}");
        }
        assert_eq!(yara.scan(&mut zeros(PIECE)).unwrap(), None);
        assert_eq!(yara.scan(&mut zeros(2 * PIECE + 1)).unwrap(), None);
    }

    #[test]
    fn what_takes_too_long_is_ended() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("slow.yar");
        write(
            &file,
            "rule slow { condition: for all i in (0..9000000000): ( for all j in (0..9000000000): ( i + j >= 0 ) ) }\n",
        );
        let slow = YaraSettings { patience: Duration::from_millis(50), ..settings(&[&file]) };
        let yara = Yara::new(slow, None);
        let end = yara.scan(&mut &b"x"[..]);
        assert!(end.is_err_and(|why| why.contains("too long")));
        assert_eq!(yara.view().failed, 1);
    }
}
