use super::ConfigFile;
use crate::config::Config;
use crate::failure::Failure;
use crate::house;
use record::Act;
use std::process::ExitCode;
use store::SqliteStore;

/// `rialto upgrade`
#[derive(Debug, clap::Args)]
pub struct Upgrade {
    /// Only say what would be done.
    #[arg(long)]
    dry_run: bool,
    /// Go back to this version of the tables (the one before, if none is named), for an older program.
    #[arg(long, value_name = "VERSION", num_args = 0..=1, default_missing_value = "0", conflicts_with = "dry_run")]
    rollback: Option<u32>,
    #[command(flatten)]
    file: ConfigFile,
}

impl Upgrade {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let config = Config::load(&self.file.config).map_err(|m| Failure::new(m.to_string()))?;
        let path = config.store();
        let in_file = |t: store::Trouble| Failure::new(format!("{}: {t}", path.display()));
        if !path.exists() {
            return Err(Failure::new(format!("{}: there is no store yet", path.display())));
        }
        let schema = SqliteStore::schema(&path).map_err(in_file)?;
        println!("{}: schema {}, this program works with {}", path.display(), schema.file, schema.program);
        if let Some(to) = self.rollback {
            let to = if to == 0 { schema.file.saturating_sub(1) } else { to };
            if to == 0 || to >= schema.file {
                return Err(Failure::new(format!("schema {} can go back to 1 at the least", schema.file)));
            }
            let (store, _) = house::open_store(&config)?;
            let who = web::Who::uid(rustix::process::getuid().as_raw());
            let mut act = Act::done("upgrade.rollback", who.as_str()).on(format!("schema {to}"));
            // The row has to come first: afterwards the older program owns the file.
            act.result = "begun".to_owned();
            act.note(store.as_ref(), crate::clock::now())?;
            store.close();
            drop(store);
            for what in SqliteStore::roll_back(&path, to).map_err(in_file)? {
                println!("taken back: {what}");
            }
            println!(
                "schema {to} now: start the older program; this one would bring the file up to date again"
            );
            return Ok(ExitCode::SUCCESS);
        }
        for what in &schema.missing {
            println!("{}: {what}", if self.dry_run { "would add" } else { "adding" });
        }
        match (schema.missing.is_empty(), self.dry_run) {
            (true, _) => println!("up to date"),
            (false, true) => println!(
                "`rialto serve` or `rialto upgrade` would do this, as one step that is whole or not there"
            ),
            (false, false) => {
                let (store, _) = house::open_store(&config)?;
                store.close();
                println!("schema {} now", schema.program);
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
