//! `rialto-bench`: see `rialto-bench --help`.

use std::{process::ExitCode, sync::Arc};

use clap::Parser;
use rialto_bench::{
    Result, env,
    opts::{Cli, Opts, Scenario},
    report::Report,
    scenario::{c2s, export, gateway, idle, login, policy, presence, s2s, search, sip, trunk, verify},
};
use rustix::{
    process::{Resource, Rlimit, getrlimit, setrlimit},
    thread::{CpuSet, sched_setaffinity},
};

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("rialto-bench: {e}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<()> {
    let mut opts = cli.opts;
    opts.threads = opts.threads.clamp(1, opts.pairs.or(opts.users).unwrap_or(20).max(1));
    let opts = Arc::new(opts);
    if let Some(core) = opts.pin {
        let mut set = CpuSet::new();
        set.set(core);
        sched_setaffinity(None, &set)?;
    }
    allow_files(&cli.scenario, &opts)?;
    let mut bytes = [0; 4];
    getrandom::fill(&mut bytes).map_err(|e| e.to_string())?;
    let run_id = u32::from_ne_bytes(bytes);
    let mut report = Report::default();
    let r = &mut report;
    match cli.scenario {
        Scenario::C2s => {
            r.put("scenario", "c2s");
            c2s::measure(&opts, run_id, r)?;
        }
        Scenario::S2s { s2s: at, partner: domain, certificate, key, direction } => {
            r.put("scenario", "s2s");
            let partner = s2s::Partner { at, domain, certificate, key };
            s2s::measure(&opts, run_id, &partner, direction, r)?;
        }
        Scenario::Trunk { trunk: at, partner: domain, certificate, key, connections, direction } => {
            r.put("scenario", "trunk");
            let partner = s2s::Partner { at, domain, certificate, key };
            trunk::measure(&opts, run_id, &partner, (connections, direction), r)?;
        }
        Scenario::Sip => {
            r.put("scenario", "sip");
            sip::measure(&opts, run_id, r)?;
        }
        Scenario::Gateway { direction, sip_as_jid, jid_as_uri } => {
            r.put("scenario", "gateway");
            let addressing = gateway::Addressing { sip_as_jid, jid_as_uri };
            gateway::measure(&opts, run_id, direction, &addressing, r)?;
        }
        Scenario::Presence { protocol, presentities, watchers } => {
            r.put("scenario", "presence");
            presence::measure(&opts, run_id, protocol, (presentities, watchers), r)?;
        }
        Scenario::Idle { protocol, settle } => {
            r.put("scenario", "idle");
            idle::measure(&opts, run_id, protocol, settle, r)?;
        }
        Scenario::Policy => {
            r.put("scenario", "policy");
            policy::measure(r)?;
        }
        Scenario::Search { rows, dir } => {
            r.put("scenario", "search");
            search::measure(rows, &dir, r)?;
        }
        Scenario::Verify { rows, dir } => {
            r.put("scenario", "verify");
            verify::measure(rows, &dir, r)?;
        }
        Scenario::Export { messages, days, format: forms, rialto, dir } => {
            r.put("scenario", "export");
            export::measure(&export::Plan { messages, days, forms, rialto, dir }, r)?;
        }
        Scenario::Login => {
            r.put("scenario", "login");
            login::measure(&opts, run_id, r)?;
        }
        Scenario::Accounts => {
            for a in env::accounts(&opts, 0, opts.users.unwrap_or(100))? {
                println!("{} {}", a.user, a.password);
            }
            return Ok(());
        }
    }
    report.print(opts.json);
    Ok(())
}

/// Raises the limit of open files to what the scenario needs.
fn allow_files(scenario: &Scenario, opts: &Opts) -> Result<()> {
    let clients = match scenario {
        Scenario::Idle { .. } => opts.users.unwrap_or(20_000),
        Scenario::Presence { presentities, watchers, .. } => 2 * presentities + watchers,
        _ => 2 * opts.pairs.unwrap_or(50) + opts.login_parallel as u32,
    };
    let need = u64::from(clients) + 64;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|n| n >= need) {
        return Ok(());
    }
    let hard = limit.maximum.map(|m| m.max(need));
    if setrlimit(Resource::Nofile, Rlimit { current: Some(need), maximum: hard }).is_err() {
        let max = limit.maximum.unwrap_or(need);
        return Err(
            format!("{clients} clients need {need} open files and this account may have {max}").into()
        );
    }
    Ok(())
}
