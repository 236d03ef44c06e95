//! Administrators with roles, and acts that need two of them, on a running server.

use crate::client::Xmpp;
use crate::harness::{LISTEN, Serve, rialto};
use std::process::Output;

const FOUR_EYES: &str = "
[control]
four_eyes = [\"quarantine.release\", \"policy.set\", \"journal.read\", \"user.add\", \"admin.token\"]
";

/// Runs a command in the name of whoever a token is of; without one, as the owner.
pub fn run(serve: &Serve, token: &str, args: &[&str]) -> Output {
    let mut command = rialto();
    command.args(args).arg("--config").arg(serve.path("rialto.toml")).env_remove("RIALTO_TOKEN");
    if !token.is_empty() {
        command.env("RIALTO_TOKEN", token);
    }
    command.output().expect("the command starts")
}

pub fn said(done: &Output) -> String {
    String::from_utf8([done.stdout.clone(), done.stderr.clone()].concat()).expect("text")
}

pub fn good(serve: &Serve, token: &str, args: &[&str]) -> String {
    let done = run(serve, token, args);
    assert!(done.status.success(), "{args:?}: {}", said(&done));
    String::from_utf8(done.stdout).expect("text")
}

pub fn bad(serve: &Serve, token: &str, args: &[&str]) -> String {
    let done = run(serve, token, args);
    assert_eq!(done.status.code(), Some(1), "{args:?}: {}", said(&done));
    said(&done)
}

/// The request that an act waits as.
pub fn waits(serve: &Serve, token: &str, args: &[&str]) -> String {
    let done = run(serve, token, args);
    assert_eq!(done.status.code(), Some(3), "{args:?}: {}", said(&done));
    let said = said(&done);
    let id = said.split("it waits as request ").nth(1).unwrap_or_else(|| panic!("{said}"));
    id.split_whitespace().next().expect("a name").to_owned()
}

/// An administrator with a token. Before two are needed for that.
fn hired(serve: &Serve, name: &str, role: &str) -> String {
    good(serve, "", &["admin", "add", name, "--role", role]);
    good(serve, "", &["admin", "token", name]).trim().to_owned()
}

fn record(serve: &Serve) -> String {
    good(serve, "", &["journal", "tail", "-n", "200", "--admin"])
}

#[test]
fn each_role_may_do_its_own_and_every_no_is_on_record() {
    let serve = Serve::start(&["romeo"], LISTEN);
    let alice = hired(&serve, "alice", "help-desk");
    let bob = hired(&serve, "bob", "auditor");
    let policy = serve.path("policy.toml");
    std::fs::write(&policy, "").expect("the directory is writable");
    let policy = policy.to_str().unwrap();

    let list = good(&serve, &bob, &["admin", "list"]);
    assert!(list.contains("alice") && list.contains("help-desk") && !list.contains(&alice), "{list}");
    assert!(good(&serve, &alice, &["admin", "whoami"]).starts_with("alice, help-desk (token "));
    good(&serve, &alice, &["user", "list"]);
    good(&serve, &bob, &["journal", "tail"]);

    let no = bad(&serve, &alice, &["policy", "set", policy]);
    assert!(no.contains("policy.check needs the role administrator, security-officer, compliance-reviewer or auditor; alice is help-desk"), "{no}");
    let no = bad(&serve, &bob, &["user", "remove", "romeo@example.com"]);
    assert!(no.contains("user.remove needs the role administrator; bob is auditor"), "{no}");
    bad(&serve, &bob, &["journal", "show", "1"]);
    bad(&serve, &alice, &["admin", "role", "alice", "administrator"]);
    let nobody = bad(&serve, "rialto_guess", &["status"]);
    assert!(nobody.contains("this token is nobody's"), "{nobody}");
    assert!(bad(&serve, "no token at all", &["status"]).contains("this is no access token"));

    // Another role counts at once; so does the end of a token.
    good(&serve, "", &["admin", "role", "bob", "administrator"]);
    good(&serve, &bob, &["user", "remove", "romeo@example.com"]);
    good(&serve, &bob, &["admin", "token", "alice", "--revoke-all"]);
    bad(&serve, &alice, &["status"]);
    good(&serve, "", &["admin", "remove", "bob"]);
    bad(&serve, &bob, &["status"]);

    let record = record(&serve);
    for words in [
        "user.remove /v1/users/romeo@example.com by bob (auditor; token ",
        "refused, 403: user.remove needs the role administrator; bob is auditor",
        "admin.role /v1/admins/alice by alice (help-desk; token ",
        "journal.read /v1/journal/1 by bob (auditor; ",
        "user.remove romeo@example.com by bob (administrator; token ",
        "admin.add alice as help-desk by uid ",
        "(administrator; owner of the server): done",
        "refused, 401: this token is nobody's",
    ] {
        assert!(record.contains(words), "{words} in {record}");
    }
    assert!(!record.contains(&alice) && !record.contains(&bob), "no token on record");
    assert!(!serve.log().contains(&bob), "no token in the log");
}

#[test]
fn a_role_comes_with_the_user_of_the_system_too_and_the_owner_stays_administrator() {
    let dir =
        crate::harness::prepared("", &format!("{LISTEN}[control]\nsocket = \"s/c.sock\"\ngroup = \"GID\"\n"));
    let id = |flag: &str| {
        let id = std::process::Command::new("id").arg(flag).output().expect("id is there");
        String::from_utf8(id.stdout).expect("text").trim().to_owned()
    };
    let file = dir.path().join("rialto.toml");
    let text = std::fs::read_to_string(&file).expect("written").replace("GID", &id("-g"));
    std::fs::write(&file, text).expect("writable");
    std::fs::create_dir(dir.path().join("s")).expect("writable");
    let serve = Serve::start_in(dir, &[], |_| {});
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let socket = std::fs::metadata(serve.path("s/c.sock")).expect("the socket");
    assert_eq!(socket.permissions().mode() & 0o777, 0o660);
    assert_eq!(socket.gid().to_string(), id("-g"));
    assert!(!serve.path("data/control.sock").exists());

    good(&serve, "", &["admin", "add", "grace", "--role", "read-only", "--user", &id("-u")]);
    let me = good(&serve, "", &["admin", "whoami"]);
    assert!(me.starts_with("grace, administrator (owner of the server)"), "{me}");
    let taken = bad(&serve, "", &["admin", "add", "heidi", "--role", "auditor", "--user", &id("-u")]);
    assert!(taken.contains("is the administrator grace already"), "{taken}");
    let nobody = bad(&serve, "", &["admin", "add", "heidi", "--role", "auditor", "--user", "no-such-user"]);
    assert!(nobody.contains("this system has no user"), "{nobody}");
    let wrong = said(&run(&serve, "", &["admin", "add", "ivan", "--role", "auditer"]));
    assert!(wrong.contains("did you mean `auditor`?"), "{wrong}");
    // Who knows the socket needs no configuration.
    let socket = serve.path("s/c.sock");
    let list = rialto().args(["admin", "list", "--socket"]).arg(&socket).env_remove("RIALTO_TOKEN").output();
    assert!(said(&list.expect("it starts")).contains("grace"));
    let token = good(&serve, "", &["admin", "token", "grace", "--days", "1"]);
    let file = serve.path("token");
    std::fs::write(&file, token).expect("writable");
    let me = good(&serve, "", &["admin", "whoami", "--token-file", file.to_str().unwrap()]);
    assert!(me.starts_with("grace, read-only (token "), "a token is no ownership: {me}");
}

#[test]
fn what_needs_two_is_done_by_two() {
    let serve = Serve::start(&["romeo", "juliet"], LISTEN);
    let alice = hired(&serve, "alice", "compliance-reviewer");
    let bob = hired(&serve, "bob", "compliance-reviewer");
    let carol = hired(&serve, "carol", "help-desk");
    let policy = serve.path("policy.toml");
    let policy = policy.to_str().unwrap();
    std::fs::write(policy, "[[rule]]\nname = \"look\"\nif = \"text.startsWith('look')\"\nthen = \"hold\"\n")
        .unwrap();
    good(&serve, "", &["policy", "set", policy]);
    serve.configure("", &format!("{LISTEN}{FOUR_EYES}"));
    let (reloaded, _) = serve.reload();
    assert!(reloaded.contains("control.four_eyes"), "{reloaded}");

    let online = |user: &str| Xmpp::online(serve.at("xmpps-c2s"), &serve.path("ca.pem"), user);
    let (mut romeo, mut juliet) = (online("romeo"), online("juliet"));
    for id in ["one", "two"] {
        romeo.say(&format!(
            "<message id='{id}' type='chat' to='juliet@example.com'><body>look {id}</body></message>"
        ));
        romeo.fence();
    }
    let end = std::time::Instant::now() + crate::harness::SOON;
    let list = loop {
        let list = good(&serve, &alice, &["quarantine", "list"]);
        if list.lines().count() == 2 || std::time::Instant::now() > end {
            break list;
        }
    };
    let rows: Vec<&str> = list.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(rows.len(), 2, "{list}");

    // One asks; the same again is the same request; nobody approves their own.
    let id = waits(&serve, &alice, &["quarantine", "release", rows[0]]);
    assert_eq!(waits(&serve, &alice, &["quarantine", "release", rows[0]]), id);
    juliet.fence();
    assert!(good(&serve, &bob, &["approve", "list"]).contains(&id));
    assert_eq!(good(&serve, &carol, &["approve", "list"]), "nothing waits\n");
    let own = bad(&serve, &alice, &["approve", "yes", &id]);
    assert!(own.contains("alice has asked for this: somebody else must decide"), "{own}");
    assert!(bad(&serve, &carol, &["approve", "yes", &id]).contains("not for your role"));
    let shown = good(&serve, &bob, &["approve", "show", &id]);
    assert!(shown.contains(&format!("/v1/quarantine/{}/release", rows[0])), "{shown}");
    assert!(
        good(&serve, &bob, &["approve", "yes", &id, "--note", "seen"]).contains("done: quarantine.release")
    );
    assert!(juliet.hear("</message>").contains("look one"));
    assert!(bad(&serve, &bob, &["approve", "yes", &id]).contains("was decided already by bob"));

    // A no is a no; and what cannot be done any more is said.
    let id = waits(&serve, &bob, &["quarantine", "release", rows[1]]);
    good(&serve, &alice, &["approve", "no", &id, "--note", "not this"]);
    assert!(bad(&serve, &alice, &["approve", "yes", &id]).contains("was decided already"));
    let id = waits(&serve, &bob, &["quarantine", "release", rows[1]]);
    good(&serve, &alice, &["quarantine", "delete", rows[1]]);
    let late = bad(&serve, &alice, &["approve", "yes", &id]);
    assert!(late.contains("approved, but it could not be done"), "{late}");

    // The owner is one of two as well.
    std::fs::write(
        policy,
        "[[rule]]\nname = \"no-poison\"\nif = \"text.contains('poison')\"\nthen = \"block\"\n",
    )
    .unwrap();
    let id = waits(&serve, "", &["policy", "set", policy, "--note", "safer"]);
    assert!(!good(&serve, &alice, &["policy", "show"]).contains("no-poison"));
    assert!(good(&serve, &alice, &["approve", "show", &id]).contains("    name = \"no-poison\""));
    good(&serve, &alice, &["approve", "yes", &id]);
    assert!(good(&serve, &alice, &["policy", "show"]).contains("no-poison"));

    // What is read is allowed once, to the one who asked.
    let row = rows[0];
    let id = waits(&serve, &alice, &["journal", "show", row]);
    good(&serve, &bob, &["approve", "yes", &id]);
    assert!(good(&serve, &alice, &["journal", "show", row]).contains("look one"));
    waits(&serve, &alice, &["journal", "show", row]);

    // A password is not kept for the second one: it is said again.
    let add = ["user", "add", "nurse@example.com", "--password-stdin"];
    let dave = {
        let id = waits(&serve, "", &["admin", "token", "alice"]);
        bad(&serve, "", &["approve", "yes", &id]);
        id
    };
    assert!(bad(&serve, &alice, &["approve", "yes", &dave]).contains("not for your role"));
    let id = with_password(&serve, &add).unwrap_err();
    let erin = {
        // Who has no token needs the word of two; here the owner takes the request back.
        good(&serve, "", &["approve", "no", &dave]);
        good(&serve, "", &["admin", "add", "erin", "--role", "administrator"]);
        waits(&serve, "", &["admin", "token", "erin"])
    };
    assert!(bad(&serve, "", &["approve", "yes", &erin]).contains("somebody else must decide"));
    serve.configure("", LISTEN);
    serve.reload();
    let erin = good(&serve, "", &["admin", "token", "erin"]).trim().to_owned();
    serve.configure("", &format!("{LISTEN}{FOUR_EYES}"));
    serve.reload();
    let shown = good(&serve, &erin, &["approve", "show", &id]);
    assert!(shown.contains("nurse@example.com") && !shown.contains("wherefore"), "{shown}");
    assert!(good(&serve, &erin, &["approve", "yes", &id]).contains("by saying the same again"));
    // For this account, and no other.
    let other = ["user", "add", "mercutio@example.com", "--password-stdin"];
    let other = with_password(&serve, &other).expect_err("nobody has seen this one");
    assert!(good(&serve, &erin, &["approve", "show", &other]).contains("mercutio@example.com"));
    with_password(&serve, &add).expect("it is allowed now");
    with_password(&serve, &add).expect_err("once");

    let record = record(&serve);
    for words in [
        "approve.ask request ",
        " for quarantine.release: POST /v1/quarantine/",
        "by alice (compliance-reviewer; token ",
        "refused, 403: alice has asked for this",
        "approve.no request ",
        "(not this) by alice",
        ", approved by bob (compliance-reviewer; token ",
        "journal.read row ",
        "policy.set safer by uid ",
        ", approved by alice (compliance-reviewer; token ",
        "user.add nurse@example.com by uid ",
        ", approved by erin (administrator; token ",
    ] {
        assert!(record.contains(words), "{words} in {record}");
    }
    good(&serve, "", &["journal", "verify"]);
    let (status, body) = serve.api("POST", "/v1/quarantine/1/release");
    assert!(status.contains("202") && body.contains("\"state\":\"waiting\""), "{status} {body}");
    let (status, _) = serve.api("PATCH", "/v1/policy");
    assert!(status.contains("405"), "{status}");
    let (status, _) = serve.api("GET", "/v1/nothing");
    assert!(status.contains("404"), "{status}");
}

/// The same with a password on standard input; else the request that it waits as.
fn with_password(serve: &Serve, args: &[&str]) -> Result<(), String> {
    let mut command = rialto();
    command.args(args).arg("--config").arg(serve.path("rialto.toml")).env_remove("RIALTO_TOKEN");
    let pipe = || std::process::Stdio::piped();
    let mut child = command.stdin(pipe()).stdout(pipe()).stderr(pipe()).spawn().expect("it starts");
    std::io::Write::write_all(&mut child.stdin.take().expect("piped"), b"wherefore\n").expect("it reads");
    let done = child.wait_with_output().expect("it ends");
    if done.status.success() {
        return Ok(());
    }
    let said = said(&done);
    let id = said.split("it waits as request ").nth(1).unwrap_or_else(|| panic!("{said}"));
    Err(id.split_whitespace().next().expect("a name").to_owned())
}
