use super::{json, runtime};
use crate::drill::{Day, Plan, Worm, innocent, run};
use crate::failure::Failure;
use clap::Subcommand;
use serde::Serialize;
use std::process::ExitCode;

/// `rialto drill`
#[derive(Debug, clap::Args)]
pub struct Drill {
    #[command(subcommand)]
    which: Which,
}

#[derive(Debug, Subcommand)]
enum Which {
    /// A worm that sends a link to everybody's contacts, then a busy day on which nothing must be held. Uses no
    /// network, no disk and no running server. Status 0 only if less than 1 % is infected and less than 5 % receives it.
    Worm {
        /// For programs.
        #[arg(long)]
        json: bool,
        /// People.
        #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(100..=100_000))]
        users: u32,
        /// In each one's contact list.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1_000))]
        contacts: u32,
        /// Fixes chance: the same number gives the same outbreak.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Lets it run: what would happen without containment.
        #[arg(long)]
        without: bool,
    },
}

/// Both parts.
#[derive(Debug, Serialize)]
struct Report {
    worm: Worm,
    /// Not played without containment.
    innocent_day: Option<Day>,
    passed: bool,
}

impl Drill {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let Which::Worm { json: for_programs, users, contacts, seed, without } = self.which;
        let settings = outbreak::Settings { enabled: !without, ..outbreak::Settings::default() };
        let plan = Plan { users: users as usize, contacts: contacts as usize, seed, settings };
        let (worm, innocent_day) = runtime(1)?.block_on(async move {
            let worm = run(plan).await?;
            let day = if without { None } else { Some(innocent(plan).await?) };
            Ok::<_, Failure>((worm, day))
        })?;
        let few = worm.infected * 100 < worm.users && worm.received * 20 < worm.users;
        let passed = without || (few && innocent_day.is_none_or(|day| day.held + day.refused == 0));
        let report = Report { worm, innocent_day, passed };
        match for_programs {
            true => print!("{}", json(&report)?),
            false => show(&report),
        }
        Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn show(report: &Report) {
    let worm = &report.worm;
    let percent = |n: usize| n as f64 * 100.0 / worm.users as f64;
    println!(
        "{} people with {} contacts each, seed {}, containment {}",
        worm.users,
        worm.contacts,
        worm.seed,
        if worm.containment { "on" } else { "off" }
    );
    for step in &worm.steps {
        println!("{:>8.2} s  {}", step.seconds, step.what);
    }
    println!("infected  {:>7}  {:5.2} %", worm.infected, percent(worm.infected));
    println!("received  {:>7}  {:5.2} %", worm.received, percent(worm.received));
    println!("the worm sent {} messages; {} were held, {} refused", worm.sent, worm.held, worm.refused);
    println!("accounts muted: {}", worm.muted);
    if let Some(day) = &report.innocent_day {
        println!(
            "a busy day: {} messages, news passed on by {} people; {} held, {} refused",
            day.sent, day.passed_on, day.held, day.refused
        );
    }
    if worm.containment {
        println!("{}", if report.passed { "passed" } else { "NOT passed" });
    }
}
