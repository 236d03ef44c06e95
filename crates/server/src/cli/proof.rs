//! `rialto journal verify` and checkpoints: what proves the record.

use super::Reach;
use super::offline::{with_server, with_whatever_is_left};
use crate::client::Control;
use crate::failure::Failure;
use record::Signed;
use std::collections::VecDeque;
use std::path::Path;
use std::process::ExitCode;
use web::{CheckpointList, Verification, VerifyQuestion};

/// Proves the whole journal, and says what was found.
pub(super) fn verify(reach: &Reach, anchors: Option<&Path>, keys: Vec<String>) -> Result<ExitCode, Failure> {
    let anchors = match anchors {
        None => Vec::new(),
        Some(file) => {
            let text = std::fs::read_to_string(file);
            let text = text.map_err(|e| Failure::new(format!("{}: {e}", file.display())))?;
            text.lines().map(ToOwned::to_owned).collect()
        }
    };
    let question = VerifyQuestion { anchors, keys };
    with_whatever_is_left(reach, |c| async move {
        c.post("/v1/journal/verify", &question).await.map(|v| tell(&v))
    })
}

fn tell(v: &Verification) -> ExitCode {
    println!("{} rows in {} conversations, {} acts of administration", v.rows, v.conversations, v.acts);
    if v.erased > 0 {
        let rule = v.retention.as_ref().map(|rule| format!("; {rule}")).unwrap_or_default();
        println!("content destroyed: {} rows, by {} act(s) on record{rule}", v.erased, v.destructions);
    }
    if v.files > 0 {
        println!("files: the contents of {} looked at, where they are still kept", v.files);
    }
    for restore in &v.restores {
        println!("restored: {restore}");
    }
    match v.checkpoints {
        0 => println!("signed: nothing yet"),
        n => println!("signed: rows up to {} by {n} checkpoint(s)", v.signed_to),
    }
    for key in &v.keys {
        let whose = if key.ours { "this server's" } else { "NOT the one this server has now" };
        println!("key: {} from row {} on, {whose}", key.key, key.from);
    }
    if v.anchored > 0 {
        println!(
            "anchored: rows up to {} agree with {} checkpoint(s) kept elsewhere",
            v.anchored_to, v.anchored
        );
    }
    for notice in &v.notices {
        println!("NOTE: {notice}");
    }
    match &v.finding {
        None => {
            println!("intact: every row is as it was written, and none is missing");
            ExitCode::SUCCESS
        }
        Some(finding) => {
            println!("NOT INTACT: {finding}");
            ExitCode::FAILURE
        }
    }
}

/// Makes one now.
pub(super) fn checkpoint(reach: &Reach) -> Result<ExitCode, Failure> {
    let made: CheckpointList =
        with_server(reach, |c| async move { c.post("/v1/journal/checkpoints", &()).await })?;
    for signed in read(&made.lines)? {
        println!("{signed}");
    }
    if made.lines.is_empty() {
        println!("nothing is new: rows up to {} are closed", made.signing.to);
    }
    Ok(ExitCode::SUCCESS)
}

/// Shows the last ones for people, or all of them for keeping.
pub(super) fn checkpoints(reach: &Reach, n: usize, lines: bool) -> Result<ExitCode, Failure> {
    let (kept, signing) =
        with_server(reach, |c| async move { all(&c, if lines { None } else { Some(n) }).await })?;
    if lines {
        kept.iter().for_each(|line| println!("{line}"));
        return Ok(ExitCode::SUCCESS);
    }
    for signed in read(kept.iter())? {
        let stamps = match signed.stamps.len() {
            0 => String::new(),
            n => format!(", {n} time stamp(s)"),
        };
        println!("{signed}{stamps}");
    }
    if kept.is_empty() {
        println!("none yet");
    }
    for anchor in &signing.anchors {
        let how = match &anchor.trouble {
            None => format!("has those up to row {}", anchor.to),
            Some(why) => format!("has those up to row {}, and NOT WHAT IS NEWER: {why}", anchor.to),
        };
        println!("{} {} {how}", anchor.kind, anchor.place);
    }
    Ok(ExitCode::SUCCESS)
}

/// Page by page.
async fn all(c: &Control, last: Option<usize>) -> Result<(VecDeque<String>, web::Signing), Failure> {
    let (mut kept, mut after) = (VecDeque::new(), 0);
    loop {
        let page: CheckpointList = c.get(&format!("/v1/journal/checkpoints?after={after}")).await?;
        let Some(newest) = page.lines.last() else { return Ok((kept, page.signing)) };
        after = read([newest])?.first().map_or(u64::MAX, |signed| signed.checkpoint.last.0);
        kept.extend(page.lines);
        while last.is_some_and(|last| kept.len() > last) {
            kept.pop_front();
        }
    }
}

fn read<'a>(lines: impl IntoIterator<Item = &'a String>) -> Result<Vec<Signed>, Failure> {
    let read = |line: &String| Signed::parse(line).map_err(Failure::new);
    lines.into_iter().map(read).collect()
}

/// Shows the public key.
pub(super) fn key(reach: &Reach) -> Result<ExitCode, Failure> {
    let list: CheckpointList =
        with_server(reach, |c| async move { c.get("/v1/journal/checkpoints?limit=0").await })?;
    println!("{}", list.key);
    Ok(ExitCode::SUCCESS)
}
