use super::{Reach, runtime};
use crate::failure::Failure;
use std::process::ExitCode;

/// `rialto status`
#[derive(Debug, clap::Args)]
pub struct Show {
    #[command(flatten)]
    file: Reach,
}

impl Show {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let control = self.file.control()?;
        let s: web::Status = runtime(1)?.block_on(control.get("/v1/status"))?;
        println!("rialto {}: {} since {}", s.version, s.state, s.started);
        for listener in &s.listeners {
            println!("listening    {} on {} (tls: {})", listener.name, listener.address, listener.tls);
        }
        let devices: usize = s.online.values().map(Vec::len).sum();
        println!("connections  {}", s.connections);
        println!("online       {} account(s), {devices} device(s)", s.online.len());
        println!("journal      {} row(s), a commit takes {:.1} ms", s.journal_head, s.commit_ms);
        match &s.signing.at {
            Some(at) => println!("checkpoint   rows up to {} are signed, since {at}", s.signing.to),
            None => println!("checkpoint   none yet"),
        }
        if let Some(trouble) = &s.signing.trouble {
            println!("CHECKPOINT   none can be made: {trouble}");
        }
        for anchor in &s.signing.anchors {
            match &anchor.trouble {
                None => println!("anchor       {} {} up to row {}", anchor.kind, anchor.place, anchor.to),
                Some(why) => {
                    println!("ANCHOR       {} {} takes no checkpoints: {why}", anchor.kind, anchor.place)
                }
            }
        }
        if let Some(journaling) = &s.journaling {
            println!("journaling   {journaling}");
        }
        match (s.indexed, &s.index_trouble) {
            (Some(row), None) if row < s.journal_head => {
                println!("index        up to row {row}, {} behind", s.journal_head - row)
            }
            (Some(row), None) => println!("index        up to row {row}"),
            (Some(row), Some(why)) => println!("index        up to row {row}, DOES NOT GO ON: {why}"),
            (None, _) => println!("index        none: `[record] search` is false"),
        }
        if let Some(trouble) = &s.disk_trouble {
            println!("DISK         {trouble}: what needs it is refused until it is well");
        }
        if let Some(trouble) = &s.clock_trouble {
            println!("CLOCK        {trouble}");
        }
        if s.unrecorded > 0 {
            println!("unrecorded   {} message(s) passed while nothing could be put on record", s.unrecorded);
        }
        if let Some(scanner) = &s.scanner {
            println!("scanner      {scanner}");
        }
        if let Some(yara) = &s.yara {
            println!("yara         {yara}");
        }
        println!("messages     {} submitted, {} delivered", s.messages, s.delivered);
        for (reason, count) in &s.refused {
            println!("refused      {count} {reason}");
        }
        Ok(ExitCode::SUCCESS)
    }
}
