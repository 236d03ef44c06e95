//! Is the peer there? A missing peer fails the test and names the package: a test that skips itself proves nothing.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The directory beside the build where the tests keep what they compile and install.
///
/// # Panics
/// If the test binary is not where cargo puts test binaries.
#[must_use]
pub fn workshop() -> PathBuf {
    // .../TARGET/PROFILE/deps/TEST
    let me = std::env::current_exe().expect("the test knows its own path");
    let target = me.ancestors().nth(3).expect("the test lies in TARGET/PROFILE/deps");
    let dir = target.join("interop");
    std::fs::create_dir_all(&dir).expect("the target directory is writable");
    dir
}

/// The `rialto` binary: `RIALTO_BIN`, or the one built beside the test.
///
/// # Panics
/// If there is none, with the command that builds it.
#[must_use]
pub fn rialto() -> PathBuf {
    let path = std::env::var_os("RIALTO_BIN").map_or_else(
        || {
            let me = std::env::current_exe().expect("the test knows its own path");
            me.ancestors().nth(2).expect("the test lies in PROFILE/deps").join("rialto")
        },
        PathBuf::from,
    );
    assert!(path.is_file(), "no server at {}: build it with `cargo build -p rialto`", path.display());
    path
}

/// A program of the peer's, found on the search path.
///
/// # Panics
/// If it is missing, with the name of the Debian package that has it.
#[must_use]
pub fn program(name: &str, package: &str) -> PathBuf {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths).map(|dir| dir.join(name)).find(|path| path.is_file()).unwrap_or_else(|| {
        panic!("{name} is missing: install the Debian package {package} (cargo xtask test does)")
    })
}

/// The Python that has slixmpp: `RIALTO_PYTHON`, or the environment that `cargo xtask test` makes.
///
/// # Panics
/// If there is none.
#[must_use]
pub fn python() -> PathBuf {
    let path =
        std::env::var_os("RIALTO_PYTHON").map_or_else(|| workshop().join("venv/bin/python"), PathBuf::from);
    assert!(
        path.is_file(),
        "slixmpp is missing: no Python at {}; `cargo xtask test` makes it, or set RIALTO_PYTHON to a Python with the \
         PyPI package slixmpp",
        path.display()
    );
    path
}

/// A file of this crate.
#[must_use]
pub fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Compile a C program of `peers/` against the named pkg-config package, once, and return its path.
///
/// # Panics
/// If the compiler or the library is missing, with the names of the packages.
#[must_use]
pub fn compiled(source: &str, library: &str, package: &str) -> PathBuf {
    let flags = Command::new(self::program("pkg-config", "pkg-config"))
        .args(["--cflags", "--libs", library])
        .output()
        .expect("pkg-config runs");
    assert!(flags.status.success(), "{library} is missing: install the Debian package {package}");
    let flags = String::from_utf8(flags.stdout).expect("compiler flags are text");
    build(source, "", &flags.split_whitespace().collect::<Vec<_>>())
}

/// Compile a C library of `peers/` that is loaded before a program, once, and return its path.
///
/// # Panics
/// If the compiler is missing or refuses.
#[must_use]
pub fn library(source: &str) -> PathBuf {
    build(source, "so", &["-shared", "-fPIC", "-ldl", "-lpthread"])
}

fn build(source: &str, extension: &str, flags: &[&str]) -> PathBuf {
    let source = file(source);
    let name = source.file_stem().expect("a C file has a name");
    let program = workshop().join(name).with_extension(extension);
    // Tests run in processes of their own: the first one compiles, the others wait.
    let lock =
        std::fs::File::create(program.with_extension("lock")).expect("the target directory is writable");
    lock.lock().expect("locking a file works");
    let age = |path: &Path| path.metadata().and_then(|m| m.modified()).ok();
    if age(&program) >= age(&source) {
        return program;
    }
    let done = Command::new(self::program("cc", "gcc"))
        .args(["-O1", "-Wall", "-o"])
        .arg(&program)
        .arg(&source)
        .args(flags)
        .output()
        .expect("the compiler runs");
    assert!(
        done.status.success(),
        "{} does not compile: {}",
        source.display(),
        String::from_utf8_lossy(&done.stderr)
    );
    program
}
