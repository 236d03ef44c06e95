//! The wiring page: every door, stage, store and bus in one place.

use crate::checkpoints::Notary;
use crate::clean;
use crate::clock::now;
use crate::config::{Config, FederationMode, Protocol, Serves, SipTransport, Strangers, Watchers, XmppTls};
use crate::conformance::Residents;
use crate::failure::Failure;
use crate::keeping::Keeping;
use crate::recording::Recorder;
use crate::traces::Exporter;
use crate::unrecorded::Exceptions;
use connector::{Carries, Connector, Listener, TlsMode, Transport};
use hub::pipeline::{Pipeline, Stage};
use hub::stages::{Consent, Federation, Hygiene, Identity, Limits, Outbreak, Policy, Spim, Throttle};
use hub::{Consents, Hub, Parts, RuleSet, Rules, Tracer};
use model::Dialect;
use ports::Partners as _;
use std::os::unix::fs::DirBuilderExt;
use std::sync::Arc;
use store::{Settings, SqliteStore};
use toml::Spanned;

/// Everything but sockets.
pub struct House {
    /// The embedded store.
    pub store: Arc<SqliteStore>,
    /// The hub.
    pub hub: Arc<Hub>,
    /// Accounts and their passwords.
    pub identity: Arc<identity::LocalAccounts>,
    /// The rules in force.
    pub rules: Arc<Rules>,
    /// Where traces go.
    pub exporter: Option<Arc<Exporter>>,
    /// Other companies.
    pub partners: Arc<partner::Federation>,
    /// The policy.
    pub rulebook: Arc<rulebook::Rulebook>,
    /// Who looks for what is unclean.
    pub eyes: Arc<hygiene::Eyes>,
    /// The watch for outbreaks.
    pub outbreaks: Arc<outbreak::Outbreaks>,
    /// The guard against unwanted messages of strangers.
    pub guard: Arc<spim::Guard>,
    /// What may pass while the record cannot be written.
    pub exceptions: Arc<Exceptions>,
    /// What people upload, if they may.
    pub files: Option<Arc<files::Files>>,
    /// What is kept and for how long.
    pub keeping: Arc<Keeping>,
    /// The record's chain.
    pub chain: record::ChainId,
    /// The record's index.
    pub search: Option<Arc<search::Index>>,
    /// Who closes the record's rows with signed checkpoints.
    pub notary: Arc<Notary>,
    /// Who writes down what connections say, if the operator asked for it.
    pub recorder: Option<Arc<Recorder>>,
}

/// Opens the embedded store with its chain.
///
/// # Errors
/// [`Failure`] with what the store said.
pub fn open_store(config: &Config) -> Result<(Arc<SqliteStore>, record::ChainId), Failure> {
    // Ours alone: in here the control socket is bound before its own permissions can be set.
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&config.data);
    made.map_err(|e| Failure::new(format!("cannot make {}: {e}", config.data.display())))?;
    let store =
        SqliteStore::open(&config.store(), Box::new(record::Chain::new()?), store::Options::default())
            .map_err(|t| Failure::new(format!("{}: {t}", config.store().display())))?;
    let chain = chain_of(&store)?;
    crate::cut::refuse(config, &store, chain)?;
    if let Some((before, after)) = store.upgraded() {
        tracing::info!(before, after, "brought the store's schema up to date");
        let act = record::Act::done("upgrade", "server").on(format!("schema {before} to {after}"));
        act.note(&store, now())?;
    }
    Ok((Arc::new(store), chain))
}

/// Opens the record's index, which goes on from where it ended.
fn open_index(
    config: &Config,
    store: &Arc<SqliteStore>,
    chain: record::ChainId,
) -> Result<Arc<search::Index>, Failure> {
    let blobs = config.data.join(crate::backup::BLOBS);
    let reader = Arc::new(crate::contents::Reader { store: store.clone(), blobs });
    let opened = search::Index::open(&config.index(), store.clone(), reader, &chain.to_string());
    let wrong = |error| Failure::new(format!("{}: {error}", config.index().display()));
    opened.map(Arc::new).map_err(wrong)
}

/// The key that the record is signed with; made where there is none.
///
/// # Errors
/// [`Failure`] when its file cannot be read or written.
pub fn signer(config: &Config) -> Result<Arc<record::Signer>, Failure> {
    let file = config.signing_key();
    let signer = record::Signer::open(&file).map_err(|e| Failure::new(format!("{}: {e}", file.display())))?;
    if signer.is_new() {
        tracing::info!(key = record::hex(&signer.key()), "made the key that checkpoints are signed with");
    }
    Ok(Arc::new(signer))
}

/// The chain that a store is in.
///
/// # Errors
/// [`Failure`] when it cannot be read.
pub fn chain_of(store: &SqliteStore) -> Result<record::ChainId, Failure> {
    let name = store.value(store::CHAIN_SETTING)?.unwrap_or_default();
    record::ChainId::from_bytes(&name).ok_or_else(|| Failure::new("the journal has no chain"))
}

/// Builds the house on the current runtime.
///
/// # Errors
/// [`Failure`] with what could not be built.
pub fn build(config: &Config, workers: usize) -> Result<House, Failure> {
    let (store, chain) = open_store(config)?;
    let search = match config.record.search {
        true => Some(open_index(config, &store, chain)?),
        false => None,
    };
    let key = signer(config)?;
    let notary = Arc::new(Notary::open(store.clone(), key.clone(), chain.node)?);
    let identity = Arc::new(identity::LocalAccounts::new(store.clone()));
    let rules = Arc::new(Rules::new(rules_of(config)));
    let exporter = config.traces.clone().map(|(endpoint, ratio)| Arc::new(Exporter::start(endpoint, ratio)));
    let domains: std::collections::BTreeSet<_> = config.domains.iter().cloned().collect();
    let partners = Arc::new(partner::Federation::open(domains.clone(), federation(config)?, store.clone())?);
    let rulebook = Arc::new(
        rulebook::Rulebook::open(store.clone(), partners.clone()).map_err(|e| Failure::new(e.to_string()))?,
    );
    let eyes = Arc::new(hygiene::Eyes::default());
    eyes.set(hygiene(config)?);
    clean::acquaint(&eyes, &partners, &store);
    let outbreaks = Arc::new(outbreak::Outbreaks::open(store.clone(), config.outbreak.settings())?);
    let guard = Arc::new(spim::Guard::open(store.clone(), config.spim.settings(config.base()))?);
    let stages = stages(&partners, &rules, &rulebook, &guard, &eyes, &outbreaks);
    let exceptions = Exceptions::new(config.record.fail_open.clone(), partners.clone(), store.clone());
    let exceptions = Arc::new(exceptions);
    let hub = Hub::open(Parts {
        domains,
        pipeline: Pipeline::new(stages),
        journal: store.clone(),
        accounts: Arc::new(Residents(store.clone())),
        rosters: store.clone(),
        authorizations: store.clone(),
        leases: store.clone(),
        credentials: identity.clone(),
        partners: partners.clone(),
        bus: Arc::new(bus::LocalBus::default()),
        rules: rules.clone(),
        blocking: Some(guard.clone()),
        unrecorded: Some(exceptions.clone()),
        presence: config.record.presence,
        tracer: exporter.clone().map(|exporter| exporter as Arc<dyn Tracer>),
        lanes: workers,
    })?;
    let files = keep_files(config, &store, &rulebook, &eyes, &hub)?;
    let keeping = Keeping::open(config, &store, (chain, key), &partners, search.clone(), files.clone())?;
    Keeping::attend(&keeping);
    if let (Some(files), Some(index)) = (&files, &search) {
        let index = index.clone();
        files.on_change(move |id, there| index.file_changed(id, there));
    }
    let restored = hub.restore_sessions(config.xmpp_resume_secs)?;
    if restored > 0 {
        tracing::info!(sessions = restored, "wait for their clients, as before the restart");
    }
    Ok(House {
        files,
        keeping,
        store,
        hub,
        identity,
        rules,
        partners,
        rulebook,
        eyes,
        outbreaks,
        guard,
        exceptions,
        exporter,
        chain,
        search,
        notary,
        recorder: None,
    })
}

/// Whoever keeps what people upload, if they may.
fn keep_files(
    config: &Config,
    store: &Arc<SqliteStore>,
    rulebook: &Arc<rulebook::Rulebook>,
    eyes: &Arc<hygiene::Eyes>,
    hub: &Arc<Hub>,
) -> Result<Option<Arc<files::Files>>, Failure> {
    let Some(settings) = config.upload.settings() else { return Ok(None) };
    let (dir, store, judge) = (config.data.join(crate::backup::BLOBS), store.clone(), rulebook.clone());
    let files = files::Files::open(dir, settings, store.clone(), store, judge, eyes.clone())?;
    let files = Arc::new(files);
    eyes.know_files_by(files.clone());
    hub.keep_files_with(files.clone());
    Ok(Some(files))
}

/// The stages of the pipeline, in order.
pub fn stages(
    partners: &Arc<partner::Federation>,
    rules: &Arc<Rules>,
    rulebook: &Arc<rulebook::Rulebook>,
    guard: &Arc<spim::Guard>,
    eyes: &Arc<hygiene::Eyes>,
    outbreaks: &Arc<outbreak::Outbreaks>,
) -> Vec<Box<dyn Stage>> {
    vec![
        Box::new(Identity),
        Box::new(Federation { partners: partners.clone() }),
        Box::new(Limits { rules: rules.clone() }),
        Box::new(Throttle::new(rules.clone(), partners.clone())),
        Box::new(Policy { judge: rulebook.clone(), rewriter: Arc::new(Renderings) }),
        Box::new(Spim { guard: guard.clone(), partners: partners.clone() }),
        Box::new(Hygiene { eyes: eyes.clone() }),
        Box::new(Outbreak { watch: outbreaks.clone() }),
        Box::new(Consent { rules: rules.clone() }),
    ]
}

/// How each dialect writes a message anew that a rule has changed.
struct Renderings;

impl ports::Rewriter for Renderings {
    fn rewrite(&self, original: &model::Original, message: &model::Message) -> Option<model::Original> {
        match original.dialect {
            Dialect::Xmpp => xmpp::translate::rewrite::rewrite(original, message),
            Dialect::Sip | Dialect::Hub => None,
        }
    }
}

/// The front doors, in the order in which they open.
///
/// # Errors
/// [`Failure`] with what is wrong with one of them.
pub fn doors(
    config: &Config,
    store: &SqliteStore,
    partners: &Arc<partner::Federation>,
    recorder: Option<&Recorder>,
) -> Result<Vec<Arc<dyn Connector>>, Failure> {
    let doors: Vec<Arc<dyn Connector>> =
        vec![Arc::new(xmpp_door(config, store, partners)?), Arc::new(sip_door(config, partners))];
    Ok(match recorder {
        Some(recorder) => doors.into_iter().map(|door| recorder.before(door)).collect(),
        None => doors,
    })
}

/// The rules that the configuration asks for.
pub fn rules_of(config: &Config) -> RuleSet {
    RuleSet {
        message_bytes: config.limits.message_bytes,
        rates: config.limits.rates(),
        login_failures: config.limits.login_failures,
        strangers: match config.consent.messages {
            Strangers::Anyone => hub::stages::Strangers::Allow,
            Strangers::Colleagues => hub::stages::Strangers::Colleagues,
            Strangers::Contacts => hub::stages::Strangers::Refuse,
        },
        consents: match config.consent.presence {
            Watchers::Ask => Consents::Ask,
            Watchers::Colleagues => Consents::Colleagues,
        },
        federation_secs: config.federation.deadline_seconds,
    }
}

/// What the configuration wants to be looked for. Reads YARA rules: long.
///
/// # Errors
/// [`Failure`] with file and line of rules that are wrong.
pub fn hygiene(config: &Config) -> Result<hygiene::Settings, Failure> {
    let settings = config.hygiene.settings(config.base(), &config.domains);
    let rules = settings.yara.as_ref().map(|yara| yara.files.as_slice()).unwrap_or_default();
    // Each with those before it, so that what is wrong is said where its file is named.
    for (count, named) in config.hygiene.yara.files.iter().enumerate() {
        hygiene::check_yara(&rules[..=count]).map_err(|why| config.source.mistake_at(named, why))?;
    }
    Ok(settings)
}

/// How the configuration wants to federate.
///
/// # Errors
/// [`Failure`] with file and line of an authority that cannot be read.
pub fn federation(config: &Config) -> Result<partner::Settings, Failure> {
    let part = &config.federation;
    let mut roots =
        if part.system_authorities { partner::Roots::of_the_system() } else { partner::Roots::default() };
    for authority in &part.authorities {
        let file = config.base().join(authority.get_ref());
        roots.add(&file).map_err(|error| {
            let what = format!("{error}; name a PEM file with the authority's certificate");
            Failure::from(config.source.mistake_at(authority, what))
        })?;
    }
    let mode = match part.mode {
        FederationMode::Off => partner::Mode::Off,
        FederationMode::Open => partner::Mode::Open,
        FederationMode::Allow => partner::Mode::Allow,
        FederationMode::Deny => partner::Mode::Deny,
        FederationMode::Observe => partner::Mode::Observe,
    };
    let dialect = |protocol: &Protocol| match protocol {
        Protocol::Xmpp => Dialect::Xmpp,
        Protocol::Sip => Dialect::Sip,
    };
    let dialects = part.protocols.iter().map(dialect).collect();
    let words = |who: &[Spanned<String>]| who.iter().map(|word| word.get_ref().to_lowercase()).collect();
    Ok(partner::Settings {
        mode,
        roots,
        dialback: part.dialback,
        dane: part.dane,
        posh: part.posh,
        dialects,
        who: words(&part.who),
        except: words(&part.except),
    })
}

/// Whom to ask where other companies' servers are.
///
/// # Errors
/// [`Failure`] where the system does not say.
pub fn resolver(config: &Config) -> Result<net::Resolver, Failure> {
    let servers: Vec<_> = config.federation.dns.iter().map(|server| *server.get_ref()).collect();
    let anchors = match &config.federation.dnssec_anchors {
        None => net::Anchors::default(),
        Some(file) => net::Anchors::read(&config.base().join(file.get_ref())).map_err(|error| {
            let what = format!("{error}; name a file of DNSKEY records");
            Failure::from(config.source.mistake_at(file, what))
        })?,
    };
    let found = net::Resolver::open(&servers, anchors);
    if config.federation.mode == FederationMode::Off {
        // A machine without name servers is no fault where nobody is looked for.
        return found.or_else(|_| net::Resolver::nobody()).map_err(Failure::new);
    }
    found.map_err(|why| Failure::new(format!("no name servers: {why}; name them with `dns` in [federation]")))
}

/// Whom we carry for besides ourselves, as partners want it.
fn carries(partners: &Arc<partner::Federation>) -> Carries {
    let partners = partners.clone();
    Carries::by(move |domain| model::Address::new("", domain).is_ok_and(|domain| partners.carries(&domain)))
}

fn xmpp_door(
    config: &Config,
    store: &SqliteStore,
    partners: &Arc<partner::Federation>,
) -> Result<xmpp::Door, Failure> {
    let listeners = config
        .xmpp
        .iter()
        .map(|l| {
            let servers = l.serves == Serves::Servers;
            let (name, tls) = match (l.tls, servers) {
                (XmppTls::Starttls, false) => ("xmpp-c2s", TlsMode::Upgrade),
                (XmppTls::Direct, false) => ("xmpps-c2s", TlsMode::Direct),
                (XmppTls::None, false) => ("xmpp-plain", TlsMode::None),
                (XmppTls::Starttls, true) => ("xmpp-s2s", TlsMode::Upgrade),
                (XmppTls::Direct, true) => ("xmpps-s2s", TlsMode::Direct),
                (XmppTls::None, true) => ("xmpp-s2s-plain", TlsMode::None),
            };
            Listener {
                name: name.into(),
                addr: *l.address.get_ref(),
                transport: Transport::Tcp,
                tls,
                servers,
            }
        })
        .collect();
    let domains: Vec<&str> = config.domains.iter().map(model::Address::as_str).collect();
    let decoy = secret(store, "xmpp.decoy-secret")?;
    let mut door = xmpp::Config::new(&domains, listeners, decoy, identity::ITERATIONS)
        .map_err(|_| Failure::new("a domain cannot be used with XMPP"))?;
    door.require_tls = config.xmpp_require_tls;
    door.upload = config.upload.settings().map(|settings| settings.max_bytes);
    door.carries = carries(partners);
    door.dialback_secret = secret(store, "xmpp.dialback-secret")?;
    door.resume_secs = config.xmpp_resume_secs;
    Ok(xmpp::Door::new(door))
}

fn sip_door(config: &Config, partners: &Arc<partner::Federation>) -> sip::Sip {
    let mut door = sip::Config::new(config.domains.iter().map(model::Address::as_str));
    for listen in &config.sip {
        let (transport, tls) = match listen.transport {
            SipTransport::Udp => (Transport::Udp, false),
            SipTransport::Tcp => (Transport::Tcp, false),
            SipTransport::Tls => (Transport::Tcp, true),
        };
        door = match listen.serves {
            Serves::Clients => door.listen(*listen.address.get_ref(), transport, tls),
            Serves::Servers => door.listen_for_servers(*listen.address.get_ref(), tls),
        };
    }
    door.carries = carries(partners);
    door.md5 = config.sip_md5;
    // An IPv6 address stands in brackets wherever a port may follow (RFC 3261 section 25.1).
    door.public_host = config.sip_public_host.as_ref().map(|host| match host.parse::<std::net::Ipv6Addr>() {
        Ok(ip) => format!("[{ip}]"),
        Err(_) => host.clone(),
    });
    sip::Sip::new(door)
}

/// A secret that is made once and then stays: behind the answers for names nobody has, and the keys of dialback.
fn secret(store: &SqliteStore, name: &str) -> Result<[u8; 32], Failure> {
    if let Some(kept) = store.value(name)?.and_then(|v| <[u8; 32]>::try_from(v).ok()) {
        return Ok(kept);
    }
    let mut fresh = [0u8; 32];
    getrandom::fill(&mut fresh).map_err(|e| Failure::new(format!("no randomness: {e}")))?;
    store.set_value(name, &fresh)?;
    Ok(fresh)
}
