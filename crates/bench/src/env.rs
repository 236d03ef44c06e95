//! What every client of one generator thread shares: options, accounts, TLS settings, the pace of logins.

use std::{cell::Cell, future::Future, net::SocketAddr, rc::Rc, sync::Arc, time::Duration};

use rustls::ClientConfig;
use tokio::{
    sync::Semaphore,
    task::{JoinHandle, spawn_local},
};

use crate::{Result, clock, opts::Opts, tls};

/// A user and the password.
#[derive(Debug, Clone)]
pub struct Account {
    /// Local part.
    pub user: String,
    /// Password.
    pub password: String,
}

/// The accounts with numbers `from..from + n` (counted from `--first`), by pattern or file.
pub fn accounts(opts: &Opts, from: u32, n: u32) -> Result<Vec<Account>> {
    if let Some(file) = &opts.accounts {
        let text = std::fs::read_to_string(file)?;
        let all = text.lines().filter_map(|l| l.split_once(char::is_whitespace));
        let some: Vec<_> = all
            .skip((opts.first + from) as usize)
            .take(n as usize)
            .map(|(u, p)| Account { user: u.into(), password: p.trim().into() })
            .collect();
        if some.len() < n as usize {
            return Err(format!("{file} has too few accounts").into());
        }
        return Ok(some);
    }
    let number = |i: u32| (opts.first + from + i).to_string();
    Ok((0..n)
        .map(|i| Account {
            user: opts.user_pattern.replace("{}", &number(i)),
            password: opts.password_pattern.replace("{}", &number(i)),
        })
        .collect())
}

/// What the clients of a thread share.
pub struct Env {
    /// The command line.
    pub opts: Arc<Opts>,
    /// Random number of this run.
    pub run: u32,
    tls: std::result::Result<Arc<ClientConfig>, String>,
    parallel: Rc<Semaphore>,
    next_login: Cell<u64>,
}

impl Env {
    /// For one of `opts.threads` threads.
    pub fn new(opts: Arc<Opts>, run: u32) -> Result<Rc<Self>> {
        // A run without TLS needs none of this: complain when it is asked for.
        let tls = tls::config(opts.ca.as_deref(), opts.insecure).map_err(|e| e.to_string());
        let parallel = Rc::new(Semaphore::new(opts.login_parallel.max(1)));
        Ok(Rc::new(Self { opts, run, tls, parallel, next_login: Cell::new(0) }))
    }

    /// TLS settings.
    pub fn tls(&self) -> Result<&Arc<ClientConfig>> {
        self.tls.as_ref().map_err(|e| e.as_str().into())
    }

    /// The name expected in the server's certificate.
    pub fn tls_name(&self) -> &str {
        self.opts.tls_name.as_deref().unwrap_or(&self.opts.domain)
    }

    /// Source address for client `index` of `total`, spread so that ports suffice.
    pub fn source(&self, target: SocketAddr, index: u32, total: u32) -> Option<SocketAddr> {
        let n = self.opts.sources.unwrap_or(total.div_ceil(15_000)).clamp(1, 250);
        (n > 1 && target.is_ipv4() && target.ip().is_loopback())
            .then(|| SocketAddr::from(([127, 0, 0, 1 + (index % n) as u8], 0)))
    }

    /// Runs `login` when its turn comes: not too many at once, not too many a second.
    pub fn paced<T: 'static>(
        self: &Rc<Self>,
        login: impl Future<Output = Result<T>> + 'static,
    ) -> JoinHandle<Result<T>> {
        let env = self.clone();
        spawn_local(async move {
            let _turn = env.parallel.acquire().await?;
            if env.opts.login_rate > 0.0 {
                let gap = clock::SECOND as f64 * f64::from(env.opts.threads) / env.opts.login_rate;
                let start = env.next_login.get().max(clock::now());
                env.next_login.set(start + gap as u64);
                tokio::time::sleep(Duration::from_nanos(start.saturating_sub(clock::now()))).await;
            }
            match tokio::time::timeout(Duration::from_secs(60), login).await {
                Ok(done) => done,
                Err(_) => Err("no answer to a login for 60 s".into()),
            }
        })
    }
}

/// Random hexadecimal digits.
pub fn nonce() -> String {
    let mut bytes = [0; 12];
    getrandom::fill(&mut bytes).expect("the system has random numbers");
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
