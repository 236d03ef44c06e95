//! What the build and the tests need from the machine: say what is missing, install what can be installed.

use std::process::Command;

use crate::{place, run};

/// A program that must be there before anything else, and how to get it.
const MACHINE: [(&str, &str); 3] = [
    ("rustc", "Rust: install it with rustup, or your distribution's package rustc"),
    ("cc", "a C compiler, for the embedded database and the cryptography: apt-get install gcc"),
    ("node", "Node.js, for the web pages: apt-get install nodejs npm"),
];

/// The Debian packages with the real clients and what else the tests run, and a program or file that shows that each is there.
const PACKAGES: &[(&str, &str)] = &[
    ("tmux", "/usr/bin/tmux"),
    ("finch", "/usr/bin/finch"),
    ("libpurple-dev", "/usr/include/libpurple/purple.h"),
    ("pkg-config", "/usr/bin/pkg-config"),
    ("linphone-cli", "/usr/bin/linphonec"),
    ("baresip-core", "/usr/bin/baresip"),
    ("sip-tester", "/usr/bin/sipp"),
    ("prosody", "/usr/bin/prosody"),
    // Without it Prosody asks no name server but the system's.
    ("lua-unbound", "/usr/share/doc/lua-unbound"),
    ("ejabberd", "/usr/sbin/ejabberdctl"),
    ("kamailio", "/usr/sbin/kamailio"),
    ("kamailio-tls-modules", "/usr/share/doc/kamailio-tls-modules"),
    ("kamailio-presence-modules", "/usr/share/doc/kamailio-presence-modules"),
    ("python3-venv", "/usr/share/doc/python3-venv"),
    ("pebble", "/usr/bin/pebble"),
    ("clamav-daemon", "/usr/sbin/clamd"),
    ("openssl", "/usr/bin/openssl"),
    ("procps", "/bin/kill"),
    // What the handbook's commands call.
    ("curl", "/usr/bin/curl"),
    ("ca-certificates", "/usr/sbin/update-ca-certificates"),
    ("iproute2", "/bin/ip"),
];

/// The versions of slixmpp and of a mail server that the stories were written against, and of what slixmpp uploads files with.
const SLIXMPP: &str = "slixmpp==1.17.0";
const AIOHTTP: &str = "aiohttp==3.14.5";
const AIOSMTPD: &str = "aiosmtpd==1.4.6";

/// Check that the machine can build the project at all, and name everything that is missing at once.
pub fn check_machine() -> Result<(), String> {
    let missing: Vec<&str> =
        MACHINE.iter().filter(|(program, _)| !run::is_there(program)).map(|(_, how)| *how).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(format!("this machine lacks:\n  {}", missing.join("\n  ")))
}

/// Install the real clients that are missing.
pub fn install_peers() -> Result<(), String> {
    let missing: Vec<&str> = PACKAGES
        .iter()
        .filter(|(_, file)| !std::path::Path::new(file).exists())
        .map(|(name, _)| *name)
        .collect();
    if !missing.is_empty() {
        if !run::is_there("apt-get") {
            return Err(format!(
                "the tests with real clients need these programs (Debian package names), and there is no apt-get to \
                 install them with: {}\n`cargo xtask test --no-interop` leaves those tests out",
                missing.join(" ")
            ));
        }
        run::must(&mut apt(&["update", "-qq"]))?;
        let mut install = apt(&["install", "-y", "-qq", "--no-install-recommends"]);
        run::must(install.args(&missing))?;
    }
    slixmpp()
}

/// apt-get, through sudo unless we are root.
fn apt(args: &[&str]) -> Command {
    let root = run::answer(Command::new("id").arg("-u")).is_some_and(|id| id.trim() == "0");
    let mut command = Command::new(if root { "apt-get" } else { "sudo" });
    if !root {
        command.arg("apt-get");
    }
    command.args(args).env("DEBIAN_FRONTEND", "noninteractive");
    command
}

/// An environment of its own for slixmpp and the mail server, so that the machine's Python stays as it is.
fn slixmpp() -> Result<(), String> {
    let venv = place::workshop().join("venv");
    let python = venv.join("bin/python");
    let here = "import slixmpp, aiohttp, aiosmtpd; print(f'slixmpp=={slixmpp.__version__} \
                aiohttp=={aiohttp.__version__} aiosmtpd=={aiosmtpd.__version__}')";
    let version = run::answer(Command::new(&python).args(["-c", here])).unwrap_or_default();
    if version.trim() == format!("{SLIXMPP} {AIOHTTP} {AIOSMTPD}") {
        return Ok(());
    }
    // Debian's Python by its path: another one on the search path may be gone tomorrow.
    run::must(Command::new("/usr/bin/python3").args(["-m", "venv", "--clear"]).arg(&venv))?;
    run::must(Command::new(&python).args(["-m", "pip", "install", "--quiet", SLIXMPP, AIOHTTP, AIOSMTPD]))
}

/// cargo-deny: the one on the search path, or one of our own.
pub fn cargo_deny() -> Result<Command, String> {
    tool("cargo-deny")
}

/// cargo-fuzz: the one on the search path, or one of our own. Its `fuzz` comes first among the arguments.
pub fn cargo_fuzz() -> Result<Command, String> {
    tool("cargo-fuzz")
}

/// cargo-deb: likewise.
pub fn cargo_deb() -> Result<Command, String> {
    tool("cargo-deb")
}

/// cargo-nextest, if there is one; without it the plain runner does.
pub fn has_nextest() -> bool {
    run::is_there("cargo-nextest")
}

/// A cargo tool, built into the build directory when the machine has none.
fn tool(name: &str) -> Result<Command, String> {
    if run::is_there(name) {
        return Ok(Command::new(name));
    }
    let path = place::tools().join("bin").join(name);
    if !path.is_file() {
        let home = place::tools();
        let mut install = run::cargo_command(&["install", "--locked", "--quiet", name, "--root"]);
        // Its objects beside ours, not in ours: another profile, another set of features.
        run::must(install.arg(&home).env("CARGO_TARGET_DIR", home.join("build")))?;
        let _ = std::fs::remove_dir_all(home.join("build"));
    }
    Ok(Command::new(path))
}
