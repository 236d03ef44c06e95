//! The laws of the house that a machine can check.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The longest a source file may be without a reason.
const LONG: usize = 600;

/// Longer files, each with its reason.
const LONG_FOR_A_REASON: &[(&str, &str)] = &[(
    "crates/record/verifier/verify.py",
    "it goes with every export as one file, which whoever must trust it reads from top to bottom",
)];

/// The words of the last column of the import table, and the crates that they stand for.
const WORDS: &[(&str, &[&str])] = &[
    ("tokio", &["tokio", "async-std", "smol"]),
    ("sockets", &["socket2", "mio", "hyper", "axum", "tokio-rustls"]),
    ("SQL", &["rusqlite", "libsqlite3-sys", "sqlx", "postgres", "tokio-postgres", "diesel"]),
    ("doors", &["xmpp", "sip"]),
];

/// Rooms whose code takes time and chance as arguments; a `clippy.toml` bans the ambient kind there.
const PURE: &[&str] = &["model", "connector", "ports", "xmpp", "sip"];

#[test]
fn imports_follow_the_table() {
    let table = Table::read();
    let house = House::read();
    let mut faults = Vec::new();
    for room in house.rooms.keys() {
        let Some(law) = table.rows.get(room) else {
            faults.push(format!("{room} has no row in ARCHITECTURE.md"));
            continue;
        };
        for import in house.imports(room) {
            if law.may.as_ref().is_some_and(|may| !may.contains(import)) {
                faults.push(format!("{room} imports {import}, which its row does not allow"));
            }
        }
        for reached in house.reach(room) {
            if law.must_not.contains(&reached) && reached != *room {
                faults.push(format!("{room} depends on {reached}, itself or through another crate"));
            }
        }
    }
    for room in table.rows.keys().filter(|room| !house.rooms.contains_key(*room)) {
        faults.push(format!("ARCHITECTURE.md has a row for {room}, which is not in the workspace"));
    }
    clean(&faults);
}

#[test]
fn the_architecture_page_names_every_room() {
    let page = read(&root().join("ARCHITECTURE.md"));
    let faults: Vec<_> = House::read()
        .rooms
        .values()
        .map(|room| room.dir.strip_prefix(root()).expect("a room is in the workspace").display().to_string())
        .filter(|dir| !page.contains(&format!("`{dir}`")))
        .map(|dir| format!("ARCHITECTURE.md does not say what {dir} is"))
        .collect();
    clean(&faults);
}

#[test]
fn no_file_is_long_without_a_reason() {
    let mut faults = Vec::new();
    let mut excused: BTreeSet<&str> = LONG_FOR_A_REASON.iter().map(|(file, _)| *file).collect();
    for file in tracked(&["rs", "py", "c"]) {
        let name = relative(&file);
        let lines = read(&file).lines().count();
        if lines > LONG && !excused.remove(name.as_str()) {
            faults.push(format!("{name} has {lines} lines: split it, or give a reason here"));
        }
    }
    faults.extend(excused.iter().map(|file| format!("{file} needs no excuse any more")));
    clean(&faults);
}

#[test]
fn unsafe_code_is_forbidden_everywhere() {
    let workspace: toml::Table = read(&root().join("Cargo.toml")).parse().expect("Cargo.toml is TOML");
    let lint = &workspace["workspace"]["lints"]["rust"]["unsafe_code"];
    assert_eq!(lint.as_str(), Some("forbid"), "the workspace must forbid unsafe code");
    let mut faults = Vec::new();
    for (name, room) in House::read().rooms {
        let manifest: toml::Table = read(&room.dir.join("Cargo.toml")).parse().expect("Cargo.toml is TOML");
        let inherits = manifest.get("lints").and_then(|lints| lints.get("workspace")?.as_bool());
        if inherits != Some(true) {
            faults.push(format!("{name}: no `[lints] workspace = true`"));
        }
    }
    clean(&faults);
}

#[test]
fn no_feature_selects_a_behaviour() {
    let mut faults = Vec::new();
    for (name, room) in House::read().rooms {
        let manifest: toml::Table = read(&room.dir.join("Cargo.toml")).parse().expect("Cargo.toml is TOML");
        if manifest.contains_key("features") {
            faults.push(format!("{name} has cargo features; make the choice a value of the configuration"));
        }
    }
    let switch = concat!("cfg(", "feature");
    for file in tracked(&["rs"]) {
        if read(&file).contains(switch) {
            faults.push(format!("{}: `{switch}`", relative(&file)));
        }
    }
    clean(&faults);
}

#[test]
fn nothing_is_left_for_later() {
    // Put together here, so that this file does not accuse itself.
    let stubs =
        [concat!("todo", "!("), concat!("unimplemented", "!("), concat!("FIX", "ME"), concat!("XX", "X:")];
    clean(&occurrences(&["rs", "py", "c", "toml", "md"], &stubs));
}

#[test]
fn nothing_points_at_one_machine() {
    let traces = [
        concat!("/wo", "rk/"),
        concat!("/ho", "me/"),
        concat!("/ro", "ot/"),
        concat!("/Us", "ers/"),
        concat!("index.crates", ".io"),
        concat!("static.crates", ".io"),
        concat!("registry.npm", "js"),
        concat!("pypi", ".org"),
        concat!("python", "hosted"),
        concat!("deb.deb", "ian"),
    ];
    clean(&occurrences(&["rs", "py", "c", "toml", "md", "xml", "lock", "json", "sh", "run", "txt"], &traces));
}

#[test]
fn every_crate_says_what_it_is() {
    let mut faults = Vec::new();
    for (name, room) in House::read().rooms {
        for file in ["src/lib.rs", "src/main.rs"] {
            let path = room.dir.join(file);
            if path.is_file() && !read(&path).starts_with("//!") {
                faults.push(format!("{name}: {file} does not begin with a doc comment"));
            }
        }
        if room.description.is_empty() {
            faults.push(format!("{name}: no description in Cargo.toml"));
        }
    }
    clean(&faults);
}

#[test]
fn pure_rooms_ban_the_ambient_clock() {
    let faults: Vec<_> = PURE
        .iter()
        .filter(|room| {
            let path = root().join("crates").join(room).join("clippy.toml");
            let bans = std::fs::read_to_string(path).unwrap_or_default();
            !["Instant::now", "SystemTime::now", "RandomState"].iter().all(|ban| bans.contains(ban))
        })
        .map(|room| format!("crates/{room}/clippy.toml does not ban the clock and ambient randomness"))
        .collect();
    clean(&faults);
}

/// One row of the import table. `may` is `None` where everything is allowed.
struct Law {
    may: Option<BTreeSet<String>>,
    must_not: BTreeSet<String>,
}

struct Table {
    rows: BTreeMap<String, Law>,
}

impl Table {
    fn read() -> Self {
        let page = read(&root().join("ARCHITECTURE.md"));
        let mut rows = BTreeMap::new();
        let body = page.lines().skip_while(|line| !line.starts_with("| room | may import")).skip(2);
        for line in body.take_while(|line| line.starts_with('|')) {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            assert_eq!(cells.len(), 3, "a row has three cells: {line}");
            for room in words(cells[0]) {
                let may = match cells[1] {
                    "everything" => None,
                    "nothing" => Some(BTreeSet::new()),
                    list => Some(words(list).map(str::to_owned).collect()),
                };
                let must_not = words(cells[2]).flat_map(meaning).collect();
                rows.insert(room.to_owned(), Law { may, must_not });
            }
        }
        assert!(!rows.is_empty(), "ARCHITECTURE.md has no import table");
        Self { rows }
    }
}

fn words(cell: &str) -> impl Iterator<Item = &str> {
    cell.split(',').map(str::trim).filter(|word| !word.is_empty())
}

/// The crates that a word of the last column stands for: a group, or one of ours by name.
fn meaning(word: &str) -> Vec<String> {
    let group = WORDS.iter().find(|(name, _)| *name == word);
    group
        .map_or_else(|| vec![word.to_owned()], |(_, crates)| crates.iter().map(ToString::to_string).collect())
}

struct Room {
    dir: PathBuf,
    description: String,
    id: String,
    direct: BTreeSet<String>,
}

/// The workspace as cargo sees it.
struct House {
    rooms: BTreeMap<String, Room>,
    names: BTreeMap<String, String>,
    edges: BTreeMap<String, Vec<(String, bool)>>,
}

impl House {
    fn read() -> Self {
        let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
        let done = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["metadata", "--format-version", "1", "--locked", "--filter-platform", &platform])
            .current_dir(root())
            .output()
            .expect("cargo runs");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let all: Value = serde_json::from_slice(&done.stdout).expect("cargo speaks JSON");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let members: BTreeSet<String> = list(&all["workspace_members"]).iter().map(text).collect();
        let mut house = Self { rooms: BTreeMap::new(), names: BTreeMap::new(), edges: BTreeMap::new() };
        for package in list(&all["packages"]) {
            let id = text(&package["id"]);
            house.names.insert(id.clone(), text(&package["name"]));
            if members.contains(&id) {
                let manifest = PathBuf::from(text(&package["manifest_path"]));
                let dir = manifest.parent().expect("a manifest lies in a folder").to_owned();
                let direct = list(&package["dependencies"]).iter().map(|dep| text(&dep["name"])).collect();
                let room = Room { dir, description: text(&package["description"]), id, direct };
                // A room is known by its folder; the server's package bears the product's name.
                let name = room.dir.file_name().expect("a folder has a name").to_string_lossy().into_owned();
                house.rooms.insert(name, room);
            }
        }
        for node in list(&all["resolve"]["nodes"]) {
            let edges = list(&node["deps"])
                .iter()
                .map(|dep| {
                    let for_tests_only = list(&dep["dep_kinds"]).iter().all(|kind| kind["kind"] == "dev");
                    (text(&dep["pkg"]), for_tests_only)
                })
                .collect();
            house.edges.insert(text(&node["id"]), edges);
        }
        house
    }

    /// The rooms that a room names in its manifest, for tests too.
    fn imports<'a>(&'a self, room: &str) -> impl Iterator<Item = &'a String> {
        let direct = &self.rooms[room].direct;
        self.rooms.iter().filter(|(_, other)| direct.contains(&self.names[&other.id])).map(|(name, _)| name)
    }

    /// Every crate that a room reaches: what it is built with, through others too, and what its tests name themselves.
    ///
    /// A parser that tests compare ours with may do what it likes inside.
    fn reach(&self, room: &str) -> BTreeSet<String> {
        let start = &self.rooms[room].id;
        let (for_tests, built_with): (Vec<_>, Vec<_>) =
            self.edges[start].iter().partition(|(_, tests)| *tests);
        let mut seen = BTreeSet::new();
        let mut ahead: Vec<&String> = built_with.into_iter().map(|(id, _)| id).collect();
        while let Some(id) = ahead.pop() {
            if seen.insert(id) {
                ahead.extend(self.edges[id].iter().filter(|(_, tests)| !tests).map(|(id, _)| id));
            }
        }
        seen.extend(for_tests.into_iter().map(|(id, _)| id));
        seen.into_iter().map(|id| self.names[id].clone()).collect()
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a folder of the workspace").to_owned()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|fault| panic!("{}: {fault}", path.display()))
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

/// The files under version control with one of these endings.
fn tracked(endings: &[&str]) -> Vec<PathBuf> {
    let done = Command::new("git").args(["ls-files", "-z"]).current_dir(root()).output().expect("git runs");
    assert!(done.status.success(), "git ls-files: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout)
        .split('\0')
        .map(|name| root().join(name))
        .filter(|path| {
            // A file without an ending, such as `.ci/run`, is known by its name.
            let ending = path.extension().or(path.file_name()).unwrap_or_default();
            endings.iter().any(|wanted| ending == *wanted)
        })
        .filter(|path| path.is_file())
        .collect()
}

fn occurrences(endings: &[&str], needles: &[&str]) -> Vec<String> {
    let mut faults = Vec::new();
    for file in tracked(endings) {
        for (number, line) in read(&file).lines().enumerate() {
            faults.extend(
                needles
                    .iter()
                    .filter(|needle| line.contains(**needle))
                    .map(|needle| format!("{}:{}: `{needle}`", relative(&file), number + 1)),
            );
        }
    }
    faults
}

fn clean(faults: &[String]) {
    assert!(faults.is_empty(), "{} faults:\n  {}", faults.len(), faults.join("\n  "));
}
