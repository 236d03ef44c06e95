//! The Debian package: built, installed into a root of its own, started there, removed and purged.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// What the package's scripts and dpkg call.
const PROGRAMS: &[&str] =
    &["sh", "chgrp", "chmod", "getent", "groupadd", "groupdel", "id", "install", "rm", "useradd", "userdel"];

/// A file system with just enough in it.
struct Root(PathBuf);

impl Drop for Root {
    fn drop(&mut self) {
        let _ = as_root("rm").arg("-rf").arg(&self.0).status();
    }
}

/// A command as root.
fn as_root(program: &str) -> Command {
    let root = Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout == b"0\n");
    let mut command = Command::new(if root { program } else { "sudo" });
    if !root {
        command.arg(program);
    }
    command
}

fn said(done: &Output) -> String {
    [&done.stdout[..], &done.stderr].concat().iter().map(|b| char::from(*b)).collect()
}

fn must(command: &mut Command) -> String {
    let done = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(done.status.success(), "{command:?}: {}", said(&done));
    said(&done)
}

impl Root {
    fn make() -> Self {
        let root = Self(std::env::temp_dir().join(format!("rialto-package-{}", std::process::id())));
        for dir in
            ["bin", "dev", "etc", "tmp", "usr/bin", "usr/sbin", "var/lib/dpkg/info", "var/lib/dpkg/updates"]
        {
            fs::create_dir_all(root.0.join(dir)).expect("the temporary directory is writable");
        }
        fs::set_permissions(&root.0, fs::Permissions::from_mode(0o755)).expect("ours");
        for (file, text) in [
            ("dev/null", ""),
            ("etc/passwd", "root:x:0:0:root:/:/bin/sh\n"),
            ("etc/group", "root:x:0:\n"),
            ("etc/shadow", "root:*:1::::::\n"),
            ("etc/gshadow", "root:*::\n"),
            ("etc/nsswitch.conf", "passwd: files\ngroup: files\nshadow: files\ngshadow: files\n"),
            ("etc/login.defs", "SYS_UID_MAX 999\nSYS_GID_MAX 999\n"),
            ("var/lib/dpkg/status", ""),
        ] {
            fs::write(root.0.join(file), text).expect("ours");
        }
        fs::set_permissions(root.0.join("dev/null"), fs::Permissions::from_mode(0o666)).expect("ours");
        for program in PROGRAMS {
            let found = ["/usr/bin", "/usr/sbin", "/bin", "/sbin"].map(|dir| Path::new(dir).join(program));
            let found =
                found.iter().find(|path| path.exists()).unwrap_or_else(|| panic!("no {program} here"));
            root.copy(found, &Path::new("/usr/bin").join(program));
            root.libraries(found);
        }
        fs::copy(root.0.join("usr/bin/sh"), root.0.join("bin/sh")).expect("ours");
        root
    }

    fn copy(&self, from: &Path, to: &Path) {
        let to = self.0.join(to.strip_prefix("/").expect("absolute"));
        fs::create_dir_all(to.parent().expect("a folder")).expect("ours");
        fs::copy(from, to).unwrap_or_else(|e| panic!("{}: {e}", from.display()));
    }

    /// The libraries of a program, where it looks for them.
    fn libraries(&self, program: &Path) {
        let list = must(Command::new("ldd").arg(program));
        for word in list.split_whitespace().filter(|word| word.starts_with('/')) {
            let library = Path::new(word);
            if library.is_file() {
                self.copy(library, library);
            }
        }
    }

    fn dpkg(&self, act: &[&str]) -> String {
        // The root has no libc package, only a libc.
        must(as_root("dpkg").arg(format!("--root={}", self.0.display())).arg("--force-depends").args(act))
    }

    fn chroot(&self, user: &str, args: &[&str]) -> Command {
        let mut command = as_root("chroot");
        command.arg(format!("--userspec={user}:{user}")).arg(&self.0).args(args);
        command
    }

    fn has(&self, file: &str) -> bool {
        as_root("test").arg("-e").arg(self.0.join(file)).status().expect("test is there").success()
    }
}

#[test]
fn the_package_installs_runs_and_goes_without_a_trace() {
    let root = Root::make();
    let package = root.0.join("tmp/rialto.deb");
    let mut deb = Command::new(env!("CARGO_BIN_EXE_xtask"));
    must(deb.args(["deb", "--profile", "dev", "--output"]).arg(&package));
    root.dpkg(&["--install", package.to_str().expect("a plain path")]);
    root.libraries(&root.0.join("usr/bin/rialto"));
    for file in [
        "usr/lib/systemd/system/rialto.service",
        "usr/share/man/man1/rialto.1.gz",
        "usr/share/doc/rialto/copyright",
        "etc/rialto/rialto.toml",
    ] {
        assert!(root.has(file), "{file}");
    }
    let look = "id rialto && getent passwd rialto && chmod -c 0640 /etc/rialto/rialto.toml";
    let looked = must(as_root("chroot").arg(&root.0).args(["/bin/sh", "-c", look]));
    assert!(looked.contains("(rialto)") && looked.contains(":/var/lib/rialto:/usr/sbin/nologin"), "{looked}");
    assert!(!looked.contains("mode of"), "the configuration had the right mode: {looked}");
    // As it was installed: checked as the server's own user, then with a port that is surely free.
    let config = ["--config", "/etc/rialto/rialto.toml"];
    let checked = must(root.chroot("rialto", &["/usr/bin/rialto", "check"]).args(config));
    assert!(checked.contains(": good"), "{checked}");
    let port = "s/127.0.0.1:5060/127.0.0.1:0/";
    must(as_root("sed").args(["-i", port]).arg(root.0.join("etc/rialto/rialto.toml")));
    must(as_root("chroot").arg(&root.0).args(["/bin/sh", "-c", "chgrp rialto /etc/rialto/rialto.toml"]));
    let mut server = root.chroot("rialto", &["/usr/bin/rialto", "serve"]);
    let mut server = server.args(config).stdout(Stdio::piped()).spawn().expect("it starts");
    let lines = BufReader::new(server.stdout.take().expect("piped")).lines();
    let ready = lines.map_while(Result::ok).any(|line| line == "ready");
    let status = root.chroot("rialto", &["/usr/bin/rialto", "status"]).args(config).output();
    let stopped = must(as_root("kill").arg(server.id().to_string()));
    assert!(server.wait().expect("our child").success() && ready, "{stopped}");
    let status = said(&status.expect("the command starts"));
    assert!(status.contains(": running since"), "{status}");
    // Removed, the record and the configuration stay; purged, nothing does.
    root.dpkg(&["--remove", "rialto"]);
    assert!(
        !root.has("usr/bin/rialto")
            && root.has("var/lib/rialto/rialto.db")
            && root.has("etc/rialto/rialto.toml")
    );
    root.dpkg(&["--purge", "rialto"]);
    for file in
        ["etc/rialto", "var/lib/rialto", "usr/share/doc/rialto", "usr/lib/systemd/system/rialto.service"]
    {
        assert!(!root.has(file), "{file} is still there");
    }
    let users = fs::read_to_string(root.0.join("etc/passwd")).expect("ours");
    assert!(!users.contains("rialto"), "{users}");
}
