//! Journaling by mail to an archive: it gets everything, also when it was away and when the server was killed meanwhile.

use crate::client::Xmpp;
use crate::harness::{LISTEN, Serve, prepared};
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

/// What an archive does with mails.
#[derive(Clone, Copy, PartialEq)]
enum Mood {
    Takes,
    /// Not now (451).
    Later,
    /// Only what has no files (552).
    NoFiles,
    /// Nothing for now, and for reasons that are not the mail's, though in words that are for good.
    NotTheMail,
}

/// An archive's mail server, as plain as RFC 5321 allows.
#[derive(Clone)]
struct Archive {
    address: SocketAddr,
    mood: Arc<Mutex<Mood>>,
    /// Sender, addressee and the mail.
    mails: Arc<Mutex<Vec<(String, String, String)>>>,
}

impl Archive {
    fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("a port");
        let archive = Self { address, mood: Arc::new(Mutex::new(Mood::Takes)), mails: Arc::default() };
        let this = archive.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let this = this.clone();
                std::thread::spawn(move || this.serve(stream));
            }
        });
        archive
    }

    fn serve(&self, stream: std::net::TcpStream) -> Option<()> {
        let mut out = stream.try_clone().ok()?;
        let mut lines = BufReader::new(stream).lines();
        let (mut from, mut to) = (String::new(), String::new());
        write!(out, "220 archive ESMTP\r\n").ok()?;
        loop {
            let line = lines.next()?.ok()?;
            let answer = match line.split([' ', ':']).next()?.to_ascii_uppercase().as_str() {
                "EHLO" => "250-archive\r\n250 8BITMIME".into(),
                "MAIL" => {
                    from = line;
                    "250 ok".to_owned()
                }
                "RCPT" => {
                    to = line;
                    match *self.mood.lock().unwrap() {
                        Mood::NotTheMail => "550 5.1.1 nobody of this name".into(),
                        _ => "250 ok".into(),
                    }
                }
                "DATA" => {
                    write!(out, "354 go on\r\n").ok()?;
                    let mut mail = String::new();
                    loop {
                        let line = lines.next()?.ok()?;
                        if line == "." {
                            break;
                        }
                        mail += line.strip_prefix('.').unwrap_or(&line);
                        mail += "\r\n";
                    }
                    let mood = *self.mood.lock().unwrap();
                    match mood {
                        Mood::Later => "451 not now".into(),
                        Mood::NoFiles if mail.contains("multipart/mixed") => "552 too much".into(),
                        _ => {
                            self.mails.lock().unwrap().push((from.clone(), to.clone(), mail));
                            "250 taken".into()
                        }
                    }
                }
                "QUIT" => {
                    write!(out, "221 bye\r\n").ok()?;
                    return None;
                }
                _ => "250 ok".into(),
            };
            write!(out, "{answer}\r\n").ok()?;
        }
    }

    fn has(&self, text: &str) -> bool {
        self.mails.lock().unwrap().iter().any(|(_, _, mail)| mail.contains(text))
    }

    fn be(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }
}

fn parts(archive: &Archive) -> String {
    format!(
        "{LISTEN}{}[mail]\nserver = \"127.0.0.1\"\nport = {}\ntls = \"none\"\nfrom = \"rialto@example.com\"\n\
         [journaling]\nto = \"archive@vault.example\"\nminutes = 0\n",
        crate::upload::UPLOAD,
        archive.address.port()
    )
}

fn say(serve: &Serve, words: &str) {
    let mut romeo = Xmpp::online(serve.at("xmpps-c2s"), &serve.path("ca.pem"), "romeo");
    romeo.say(&format!(
        "<message id='{words}' type='chat' to='juliet@example.com'><body>{words}</body></message>"
    ));
    romeo.fence();
}

fn told(serve: &Serve, args: &[&str]) -> String {
    let done = serve.run(args);
    String::from_utf8([done.stdout, done.stderr].concat()).expect("text")
}

#[test]
fn the_archive_gets_everything_whatever_happens_meanwhile() {
    let archive = Archive::open();
    let mut serve = Serve::start_in(prepared("", &parts(&archive)), &["romeo", "juliet"], |_| {});
    serve.until("it has begun", |serve| told(serve, &["status"]).contains("the archive has rows up to"));
    say(&serve, "nightingale");
    serve.until("it is there", |_| archive.has("nightingale"));
    {
        let mails = archive.mails.lock().unwrap();
        let (from, to, mail) = &mails[0];
        assert!(
            from.contains("<rialto@example.com>") && to.contains("<archive@vault.example>"),
            "{from} {to}"
        );
        for piece in
            ["Subject: Conversation ", "romeo@example.com", "X-Rialto-Rows: ", "Message-ID: <", "text/html"]
        {
            assert!(mail.contains(piece), "{piece:?} in {mail}");
        }
    }
    // It is away, and meanwhile the server is killed: nobody waits for it, and nothing is lost.
    archive.be(Mood::Later);
    say(&serve, "lark");
    serve.until("it is said aloud", |serve| told(serve, &["status"]).contains("NOT TAKEN: 127.0.0.1"));
    assert!(told(&serve, &["doctor"]).contains("journaling by mail"), "{}", told(&serve, &["doctor"]));
    say(&serve, "swallow");
    serve.crash();
    archive.be(Mood::Takes);
    assert!(!archive.has("lark"));
    serve.restart();
    serve.until("they are there", |_| archive.has("lark") && archive.has("swallow"));
    serve.until("it is well", |serve| !told(serve, &["status"]).contains("NOT TAKEN"));
    serve.until("nothing is late", |serve| {
        serve.api("GET", "/metrics").1.lines().any(|line| line == "rialto_journaling_late_seconds 0")
    });
    // What is too long for it comes without its files, which are named; nothing else does.
    archive.be(Mood::NotTheMail);
    let mut romeo = Xmpp::online(serve.at("xmpps-c2s"), &serve.path("ca.pem"), "romeo");
    let (to, from) = crate::upload::slot(&mut romeo, "rose.txt", 6, "text/plain");
    assert!(crate::upload::put(&serve, &to, b"a rose").0.starts_with("http/1.1 201"));
    let url = crate::upload::link(&serve, &from);
    romeo.say(&format!("<message id='f' type='chat' to='juliet@example.com'><body>{url}</body></message>"));
    serve.until("it is said aloud", |serve| told(serve, &["status"]).contains("5.1.1 nobody of this name"));
    archive.be(Mood::Takes);
    serve.until("it is there", |_| archive.has("rose.txt, text/plain, 6 bytes"));
    assert!(archive.has("multipart/mixed"), "with its file");
    archive.be(Mood::NoFiles);
    let count = |archive: &Archive| archive.mails.lock().unwrap().len();
    let before = count(&archive);
    romeo.say(&format!("<message id='g' type='chat' to='juliet@example.com'><body>{url}</body></message>"));
    serve.until("it is there too", |_| count(&archive) > before);
    assert!(!archive.mails.lock().unwrap()[before].2.contains("multipart/mixed"));
    let ids = |text: &str| {
        let mails = archive.mails.lock().unwrap();
        mails.iter().filter(|(_, _, mail)| mail.contains(text)).count()
    };
    assert_eq!((ids("nightingale"), ids("lark")), (1, 1));
}

#[test]
fn usage_reports_come_by_mail_once() {
    let archive = Archive::open();
    archive.be(Mood::Later);
    let more = format!(
        "{LISTEN}[mail]\nserver = \"127.0.0.1\"\nport = {}\ntls = \"none\"\nfrom = \"rialto@example.com\"\n\
         [reports]\nevery = [\"day\"]\nforms = [\"csv\", \"pdf\"]\nto = [\"board@example.com\"]\n",
        archive.address.port()
    );
    let mut serve = Serve::start(&["romeo"], &more);
    serve.until("nobody takes it", |serve| serve.log().contains("could not be sent"));
    archive.be(Mood::Takes);
    // It is tried again, also by the next process.
    serve.crash_and_restart();
    serve.until("it is sent", |serve| serve.log().contains("usage report sent"));
    assert!(archive.has("Usage report 20") && archive.has("application/pdf") && archive.has("text/csv"));
    assert!(archive.mails.lock().unwrap()[0].1.contains("board@example.com"));
    let dir = serve.path("data/reports");
    let tables = move || {
        let files = std::fs::read_dir(&dir).into_iter().flatten().flatten().map(|file| file.path());
        files.filter(|path| path.extension().is_some_and(|end| end == "csv")).collect::<Vec<_>>()
    };
    // What shows that the next process has looked.
    std::fs::remove_file(&tables()[0]).expect("it goes");
    serve.crash_and_restart();
    serve.until("it is made again", |_| tables().len() == 1);
    assert_eq!(archive.mails.lock().unwrap().len(), 1, "it is sent once");
}
