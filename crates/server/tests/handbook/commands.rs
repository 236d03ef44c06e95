//! Every command of the handbook and the README, as it is written, from the first page to the last, in a world of its own.
//!
//! That world is a set of namespaces: the machine's programs, but `/etc`, `/srv`, `/var` and `/usr/local` that end with the test, no
//! network but loopback, and a server that stays up from the page that starts it. Standard input is always a password.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use crate::blocks::{Block, blocks};
use crate::page::at;

/// Commands that are another test's matter, by how they begin, and whose.
const ELSEWHERE: &[(&str, &str)] = &[
    ("cargo xtask demo", "the server's own test plays the demonstration"),
    ("cargo xtask test", "this is a part of it"),
    ("cargo xtask crash", "interop/tests/crash.rs runs a few rounds"),
    ("cargo xtask fuzz", "fuzz/tests tries every target briefly"),
    ("rialto certificate install", "crates/server/tests/serve/certificates.rs has an authority that answers"),
    ("rialto trace", "crates/server/tests/serve/search.rs has messages to trace"),
    ("rialto import", "crates/server/tests/serve/import.rs has history to take over"),
    ("cargo xtask deb", "xtask/tests/package.rs makes the package"),
    ("apt install", "xtask/tests/package.rs installs the package, with dpkg"),
    ("systemctl restart", "needs systemd; xtask/tests/package.rs starts the server as the unit does"),
    ("cargo build --release", "`cargo xtask test` builds the server, in another profile"),
    ("install -m 755 target/release", "copies what the line before it builds"),
];

/// The pages in the order of the handbook, and the README, which is read without it.
fn readings() -> [Vec<(String, String)>; 2] {
    let read = |path: &str| (path.to_owned(), std::fs::read_to_string(at(path)).expect("the page is there"));
    let summary = read("docs/src/SUMMARY.md").1;
    let links = summary.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    [links.map(|link| read(&format!("docs/src/{link}"))).collect(), vec![read("README.md")]]
}

/// A shell's single-quoted word.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// The script that reads these pages; counts what it will run, and notes what it leaves to others.
fn script(pages: &[(String, String)], left: &mut BTreeSet<&'static str>) -> (String, usize) {
    let (mut script, mut count) = (String::new(), 0);
    for (page, text) in pages {
        for block in blocks(text) {
            match block {
                Block::Toml(toml) => {
                    count += 1;
                    let _ = writeln!(script, "configuration {} {}", quoted(page), quoted(&toml));
                }
                Block::Policy(policy) => {
                    count += 1;
                    let _ = writeln!(script, "policy {} {}", quoted(page), quoted(&policy));
                }
                Block::Shell(lines) => {
                    for line in lines {
                        if let Some((begin, why)) =
                            ELSEWHERE.iter().find(|(begin, _)| line.starts_with(begin))
                        {
                            left.insert(begin);
                            println!("{page}: not here: {line}: {why}");
                            continue;
                        }
                        count += 1;
                        let act = if line.contains("rialto serve ") { "serve" } else { "run" };
                        let _ = writeln!(script, "{act} {} {}", quoted(page), quoted(&line));
                    }
                }
            }
        }
    }
    (script, count)
}

/// Programs of the machine that the pages or the world call, and the Debian packages that have them.
const NEEDED: &[(&str, &str)] = &[
    ("unshare", "util-linux"),
    ("ip", "iproute2"),
    ("curl", "curl"),
    ("python3", "python3"),
    ("update-ca-certificates", "ca-certificates"),
];

fn look_for_programs() {
    let dirs = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];
    let missing =
        NEEDED.iter().filter(|(name, _)| !dirs.iter().any(|dir| Path::new(dir).join(name).exists()));
    let packages: Vec<&str> = missing.map(|(_, package)| *package).collect();
    assert!(packages.is_empty(), "install the Debian packages {packages:?} (`cargo xtask test` does)");
}

/// Runs a script in namespaces of its own.
fn in_a_world_of_its_own(script: &str) -> (bool, String) {
    let dir = tempfile::Builder::new().prefix("rialto-handbook-").tempdir().expect("a temporary directory");
    let path = dir.path();
    std::fs::create_dir(path.join("bin")).expect("ours");
    std::os::unix::fs::symlink(Path::new(env!("CARGO_BIN_EXE_rialto")), path.join("bin/rialto"))
        .expect("ours");
    // There is one user in this world, who may do everything.
    let sudo = "#!/bin/sh\n[ \"$1\" = -u ] && shift 2\nexec \"$@\"\n";
    std::fs::write(path.join("bin/sudo"), sudo).expect("ours");
    std::fs::write(
        path.join("world.sh"),
        format!("{}{script}\necho everything ran\n", include_str!("world.sh")),
    )
    .expect("ours");
    let root = Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout == b"0\n");
    let mut unshare = Command::new("unshare");
    if !root {
        unshare.args(["--user", "--map-root-user"]);
    }
    unshare.args(["--mount", "--net", "--pid", "--fork", "--kill-child", "sh"]).arg(path.join("world.sh"));
    unshare.env("WORLD", path).env_remove("RIALTO_CONFIG").env_remove("RIALTO_LOG");
    let done = unshare.output().expect("unshare is there: Debian package util-linux");
    let said = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
    assert!(
        said.contains("a world of its own"),
        "no namespaces here, so the handbook's commands cannot be run: run this test as root, or where the system lets \
         users make namespaces (kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns)\n{said}"
    );
    (done.status.success() && said.contains("everything ran"), said)
}

#[test]
fn every_command_runs() {
    look_for_programs();
    let (mut left, mut count) = (BTreeSet::new(), 0);
    for pages in readings() {
        let (script, commands) = script(&pages, &mut left);
        count += commands;
        let (good, said) = in_a_world_of_its_own(&script);
        assert!(good, "{said}");
        println!("{said}");
    }
    println!("{count} commands and configurations ran");
    let stale: Vec<_> = ELSEWHERE.iter().filter(|(begin, _)| !left.contains(begin)).collect();
    assert!(stale.is_empty(), "no page says this any more: {stale:?}");
    assert!(count >= 25, "only {count}: the pages are not read as they were");
}
