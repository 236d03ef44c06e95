//! Finch itself, in a terminal: what a person would see and type.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::talk::until;
use crate::{PASSWORD, Rialto, at, have, purple};

/// A Finch on a screen of its own.
pub struct Finch {
    // A terminal server of its own, so that no test meets another's and none meets the user's. Not in the server's
    // directory: that may go first, and without its socket the terminal could not be ended.
    dir: TempDir,
}

impl Finch {
    /// Start Finch with one XMPP account.
    #[must_use]
    pub fn xmpp(rialto: &Rialto, user: &str) -> Self {
        let settings = [
            ("connect_server", "string", "127.0.0.1".to_owned()),
            ("port", "int", rialto.xmpp().to_string()),
            ("connection_security", "string", "require_tls".to_owned()),
        ];
        Self::start(rialto, "prpl-jabber", &format!("{}/finch", at(user)), &settings)
    }

    /// Start Finch with one SIP account.
    #[must_use]
    pub fn simple(rialto: &Rialto, user: &str) -> Self {
        let settings = [
            ("useproxy", "bool", "1".to_owned()),
            ("proxy", "string", "127.0.0.1".to_owned()),
            ("port", "int", rialto.sip().to_string()),
            ("udp", "bool", "1".to_owned()),
        ];
        Self::start(rialto, "prpl-simple", &at(user), &settings)
    }

    fn start(rialto: &Rialto, protocol: &str, name: &str, settings: &[(&str, &str, String)]) -> Self {
        let finch = have::program("finch", "finch");
        let home = rialto.home("finch");
        purple::trust(rialto, &home);
        let mut list = String::new();
        for (key, kind, value) in settings {
            let _ = write!(list, "<setting name='{key}' type='{kind}'>{value}</setting>");
        }
        let accounts = format!(
            "<?xml version='1.0' encoding='UTF-8' ?>\n<account version='1.0'><account>\
             <protocol>{protocol}</protocol><name>{name}</name><password>{PASSWORD}</password>\
             <settings>{list}</settings>\
             <settings ui='gnt-purple'><setting name='auto-login' type='bool'>1</setting></settings>\
             </account></account>\n"
        );
        std::fs::write(home.join("accounts.xml"), accounts).expect("the temporary directory is writable");
        let dir = tempfile::Builder::new().prefix("rialto-screen-").tempdir().expect("a temporary directory");
        let screen = Self { dir };
        let command = format!(
            "exec env LANG=C.UTF-8 HOME='{0}' TERM=screen '{1}' -c '{0}' 2>'{2}'",
            home.display(),
            finch.display(),
            rialto.log("finch").display()
        );
        screen.tmux(&["-f", "/dev/null", "new-session", "-d", "-x", "120", "-y", "40", &command]);
        screen.wait_for("Buddy List");
        screen
    }

    /// Wait until the screen shows this.
    pub fn wait_for(&self, text: &str) {
        let seen = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            until("the screen", || self.screen().contains(text));
        }));
        assert!(seen.is_ok(), "Finch never showed `{text}`; it shows\n{}", self.screen());
    }

    /// Go to window number `n`; 1 is the buddy list.
    pub fn window(&self, n: u8) {
        self.tmux(&["send-keys", &format!("M-{n}")]);
    }

    /// Type text and press Enter, once the screen shows the text.
    pub fn enter(&self, text: &str) {
        if !text.is_empty() {
            self.tmux(&["send-keys", "-l", text]);
            self.wait_for(text);
        }
        self.tmux(&["send-keys", "Enter"]);
    }

    /// What the screen shows.
    #[must_use]
    pub fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("tmux")
    }

    fn tmux(&self, args: &[&str]) -> String {
        let done = Command::new(have::program("tmux", "tmux"))
            .arg("-S")
            .arg(self.socket())
            .args(args)
            .output()
            .expect("tmux runs");
        let fault = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(done.status.success(), "tmux {args:?}: {fault}");
        String::from_utf8_lossy(&done.stdout).into_owned()
    }
}

impl Drop for Finch {
    fn drop(&mut self) {
        let tmux = have::program("tmux", "tmux");
        let _ = Command::new(tmux).arg("-S").arg(self.socket()).arg("kill-server").output();
    }
}
