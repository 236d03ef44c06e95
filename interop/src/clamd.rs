//! clamd, with one signature: that of the harmless test file of EICAR.

use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The harmless test file.
pub const EICAR: &str = r"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*";

/// How long clamd may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// A clamd that runs. Dropping it ends it.
pub struct Clamd {
    child: Child,
    _dir: tempfile::TempDir,
}

impl Clamd {
    /// Starts one on this port of loopback, and waits until it answers.
    ///
    /// # Panics
    /// If it is not there, or does not start.
    #[must_use]
    pub fn start(port: u16) -> Self {
        let dir = tempfile::Builder::new().prefix("rialto-clamd-").tempdir().expect("a temporary directory");
        let db = dir.path().join("db");
        std::fs::create_dir(&db).expect("the directory is writable");
        // Its MD5 and its length.
        std::fs::write(db.join("eicar.hdb"), "44d88612fea8a8f36de82e1278abb02f:68:Local.Eicar\n")
            .expect("writable");
        let config = dir.path().join("clamd.conf");
        let text = format!(
            "Foreground yes\nDatabaseDirectory {}\nTCPSocket {port}\nTCPAddr 127.0.0.1\n",
            db.display()
        );
        std::fs::write(&config, text).expect("writable");
        let mut command = Command::new("/usr/sbin/clamd");
        command.arg("-c").arg(&config).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("clamd is there: apt-get install clamav-daemon");
        let started = Self { child, _dir: dir };
        let end = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < end, "clamd does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        started
    }
}

impl Clamd {
    /// Stops it in the middle of what it does: it neither answers nor hangs up, until it is dropped.
    ///
    /// # Panics
    /// If the system does not let us.
    pub fn freeze(&self) {
        let id = self.child.id().to_string();
        let done = Command::new("kill").args(["-STOP", &id]).status();
        assert!(done.is_ok_and(|done| done.success()), "clamd cannot be stopped");
    }
}

impl Drop for Clamd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
