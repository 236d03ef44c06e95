use super::offline::with_server;
use super::{Reach, escape, json};
use crate::failure::Failure;
use ::admin::{Request, State};
use clap::Subcommand;
use std::process::ExitCode;
use web::{RequestList, Word};

/// `rialto approve`
#[derive(Debug, clap::Args)]
pub struct Approve {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// Lists what waits for a second administrator, and what was decided lately.
    List {
        /// For programs.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        file: Reach,
    },
    /// Shows all that was asked for.
    Show {
        /// The request.
        id: String,
        /// For programs.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        file: Reach,
    },
    /// Says yes: it is done now, or whoever asked may do it once.
    Yes {
        /// The request.
        id: String,
        /// Why, for those who read the record.
        #[arg(long, default_value = "")]
        note: String,
        #[command(flatten)]
        file: Reach,
    },
    /// Says no; whoever asked takes the request back with it.
    No {
        /// The request.
        id: String,
        /// Why, for those who read the record.
        #[arg(long, default_value = "")]
        note: String,
        #[command(flatten)]
        file: Reach,
    },
}

impl Approve {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let path = |id: &str| format!("/v1/requests/{}", escape(id));
        match self.act {
            Act::List { json: for_programs, file } => {
                let list: RequestList = with_server(&file, |c| async move { c.get("/v1/requests").await })?;
                match for_programs {
                    true => print!("{}", json(&list)?),
                    false if list.requests.is_empty() => println!("nothing waits"),
                    false => list.requests.iter().for_each(line),
                }
            }
            Act::Show { id, json: for_programs, file } => {
                let path = path(&id);
                let request: Request = with_server(&file, |c| async move { c.get(&path).await })?;
                match for_programs {
                    true => print!("{}", json(&request)?),
                    false => show(&request),
                }
            }
            Act::Yes { id, note, file } => {
                let path = format!("{}/yes", path(&id));
                let request: Request =
                    with_server(&file, |c| async move { c.post(&path, &Word { note }).await })?;
                match &request.answer {
                    None => println!("{} may do it once, by saying the same again", request.by),
                    Some(answer) if answer.status < 300 => println!("done: {}", request.act),
                    Some(answer) => {
                        let text = serde_json::from_str::<web::ProblemBody>(&answer.text);
                        let text = text.map_or_else(|_| answer.text.clone(), |problem| problem.detail);
                        return Err(Failure::new(format!("approved, but it could not be done: {text}")));
                    }
                }
            }
            Act::No { id, note, file } => {
                let path = format!("{}/no", path(&id));
                let request: Request =
                    with_server(&file, |c| async move { c.post(&path, &Word { note }).await })?;
                println!("refused: {} of {}", request.act, request.by);
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn time(ms: u64) -> String {
    format!("{:.0}", jiff::Timestamp::from_millisecond(ms as i64).unwrap_or_default())
}

fn state(request: &Request) -> &'static str {
    match request.state {
        State::Waiting => "waiting",
        State::Granted => "granted",
        State::Done => "done",
        State::Refused => "refused",
    }
}

fn line(request: &Request) {
    let (id, at, by) = (&request.id, time(request.at), &request.by);
    println!(
        "{id}  {at}  {:<8} {:<20} {} {}  by {by}",
        state(request),
        request.act,
        request.method,
        request.uri
    );
}

fn show(request: &Request) {
    line(request);
    println!("asked for by {} ({}; {})", request.by, request.role, request.how);
    println!("until {}", time(request.until));
    if let Some(body) = &request.body {
        body_in_words(body);
    }
    if let Some(decided) = &request.decided {
        let (by, role, how, at) = (&decided.by, decided.role, &decided.how, time(decided.at));
        let note = if decided.note.is_empty() { String::new() } else { format!(": {}", decided.note) };
        println!("decided by {by} ({role}; {how}) at {at}{note}");
    }
    if let Some(answer) = &request.answer {
        println!("answer {}: {}", answer.status, plain(&answer.text));
    }
}

/// The members of a body, texts with their lines.
fn body_in_words(body: &str) {
    match serde_json::from_str(body) {
        Ok(serde_json::Value::Object(members)) => {
            for (key, value) in members {
                match value {
                    serde_json::Value::String(text) if text.contains('\n') => {
                        println!("{key}:");
                        text.lines().for_each(|line| println!("    {}", plain(line)));
                    }
                    serde_json::Value::String(text) => println!("{key}: {}", plain(&text)),
                    other => println!("{key}: {}", plain(&other.to_string())),
                }
            }
        }
        _ => println!("{}", plain(body)),
    }
}

/// No character of it may do anything in a terminal.
fn plain(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
}
