//! Accounts, contact lists, consent and settings.

use super::fault::{damaged, trouble};
use super::{SqliteStore, read};
use crate::varint::{get, put};
use crate::{
    Accounts, Authorization, Authorizations, Consent, Journal, MailboxCursor, RosterEntry, Rosters,
    SealedPasswords, Settings, Trouble,
};
use bytes::Bytes;
use compact_str::CompactString;
use model::{Address, Credential, Scheme};
use rusqlite::{Connection, OptionalExtension, params};

fn owned(address: &Address) -> String {
    address.as_str().to_owned()
}

fn stored(text: &str) -> Result<Address, Trouble> {
    Address::parse(text).map_err(|_| damaged("an address"))
}

fn write_credentials(
    conn: &Connection,
    account: &str,
    credentials: &[(Scheme, Credential)],
) -> rusqlite::Result<()> {
    conn.execute("DELETE FROM credential WHERE account = ?1", [account])?;
    let mut insert = conn.prepare_cached(
        "INSERT INTO credential (account, scheme, salt, iterations, key, server_key) VALUES (?1,?2,?3,?4,?5,?6)",
    )?;
    for (scheme, credential) in credentials {
        let scheme = *scheme as u8;
        match credential {
            Credential::Scram { salt, iterations, stored_key, server_key } => insert.execute(params![
                account,
                scheme,
                &salt[..],
                iterations,
                &stored_key[..],
                &server_key[..]
            ])?,
            Credential::Ha1(hex) => insert.execute(params![
                account,
                scheme,
                None::<&[u8]>,
                None::<u32>,
                &hex[..],
                None::<&[u8]>
            ])?,
        };
    }
    Ok(())
}

impl Accounts for SqliteStore {
    fn create(&self, account: &Address, credentials: &[(Scheme, Credential)]) -> Result<bool, Trouble> {
        let (account, credentials) = (owned(account), credentials.to_vec());
        self.write(move |conn| {
            let new = conn.execute("INSERT OR IGNORE INTO account (address) VALUES (?1)", [&account])? > 0;
            if new {
                write_credentials(conn, &account, &credentials)?;
            }
            Ok(new)
        })
    }

    fn set_credentials(
        &self,
        account: &Address,
        credentials: &[(Scheme, Credential)],
    ) -> Result<bool, Trouble> {
        let (account, credentials) = (owned(account), credentials.to_vec());
        self.write(move |conn| {
            let known = account_exists(conn, &account)?;
            if known {
                write_credentials(conn, &account, &credentials)?;
            }
            Ok(known)
        })
    }

    fn remove(&self, account: &Address) -> Result<bool, Trouble> {
        let text = owned(account);
        self.shared.queue.drop_leases_of(account);
        let known = self.write(move |conn| {
            let known = conn.execute("DELETE FROM account WHERE address = ?1", [&text])? > 0;
            if known {
                conn.execute("DELETE FROM credential WHERE account = ?1", [&text])?;
                conn.execute("DELETE FROM sealed WHERE account = ?1", [&text])?;
                conn.execute("DELETE FROM roster WHERE owner = ?1", [&text])?;
                conn.execute("DELETE FROM lease WHERE owner = ?1", [&text])?;
                conn.execute("DELETE FROM authorization WHERE presentity = ?1 OR watcher = ?1", [&text])?;
            }
            Ok(known)
        })?;
        if known {
            // Whoever gets the same address later must not find the predecessor's mail.
            self.advance(MailboxCursor { account: account.clone(), low: self.head(), above: Vec::new() });
        }
        Ok(known)
    }

    fn exists(&self, account: &Address) -> Result<bool, Trouble> {
        self.pool.with(|conn| account_exists(conn, account.as_str()).map_err(trouble))
    }

    fn credential(&self, account: &Address, scheme: Scheme) -> Result<Option<Credential>, Trouble> {
        self.pool.with(|conn| {
            conn.prepare_cached(
                "SELECT salt, iterations, key, server_key FROM credential WHERE account = ?1 AND scheme = ?2",
            )
            .and_then(|mut q| {
                q.query_row((account.as_str(), scheme as u8), |r| {
                    let key = Bytes::from(r.get::<_, Vec<u8>>(2)?);
                    let salt: Option<Vec<u8>> = r.get(0)?;
                    Ok(match salt {
                        Some(salt) => Credential::Scram {
                            salt: Bytes::from(salt),
                            iterations: r.get(1)?,
                            stored_key: key,
                            server_key: Bytes::from(r.get::<_, Vec<u8>>(3)?),
                        },
                        None => Credential::Ha1(key),
                    })
                })
                .optional()
            })
            .map_err(trouble)
        })
    }

    fn list(&self, after: Option<&Address>, limit: usize) -> Result<Vec<Address>, Trouble> {
        let after = after.map_or("", Address::as_str);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let texts: Vec<String> = self.pool.with(|conn| {
            conn.prepare_cached("SELECT address FROM account WHERE address > ?1 ORDER BY address LIMIT ?2")
                .and_then(|mut q| q.query_map((after, limit), |r| r.get(0))?.collect())
                .map_err(trouble)
        })?;
        texts.iter().map(|t| stored(t)).collect()
    }
}

fn account_exists(conn: &Connection, account: &str) -> rusqlite::Result<bool> {
    conn.prepare_cached("SELECT 1 FROM account WHERE address = ?1")?.exists([account])
}

fn write_groups(groups: &[CompactString]) -> Vec<u8> {
    let mut out = Vec::new();
    for group in groups {
        put(&mut out, group.len() as u64);
        out.extend_from_slice(group.as_bytes());
    }
    out
}

fn read_groups(mut bytes: &[u8]) -> Option<Vec<CompactString>> {
    let mut groups = Vec::new();
    while !bytes.is_empty() {
        let len = usize::try_from(get(&mut bytes)?).ok()?;
        let (text, rest) = bytes.split_at_checked(len)?;
        groups.push(CompactString::from(std::str::from_utf8(text).ok()?));
        bytes = rest;
    }
    Some(groups)
}

impl Rosters for SqliteStore {
    fn entries(&self, owner: &Address) -> Result<Vec<RosterEntry>, Trouble> {
        let rows: Vec<(String, Option<String>, Vec<u8>)> = self.pool.with(|conn| {
            conn.prepare_cached(
                "SELECT contact, name, in_groups FROM roster WHERE owner = ?1 ORDER BY contact",
            )
            .and_then(|mut q| {
                q.query_map([owner.as_str()], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))?.collect()
            })
            .map_err(trouble)
        })?;
        rows.into_iter()
            .map(|(contact, name, groups)| {
                let groups = read_groups(&groups).ok_or_else(|| damaged("a contact's groups"))?;
                Ok(RosterEntry { contact: stored(&contact)?, name, groups })
            })
            .collect()
    }

    fn put(&self, owner: &Address, entry: &RosterEntry) -> Result<(), Trouble> {
        let (owner, contact) = (owned(owner), owned(&entry.contact));
        let (name, groups) = (entry.name.clone(), write_groups(&entry.groups));
        self.write(move |conn| {
            conn.execute(
                "INSERT OR REPLACE INTO roster (owner, contact, name, in_groups) VALUES (?1,?2,?3,?4)",
                params![owner, contact, name, groups],
            )
            .map(drop)
        })
    }

    fn delete(&self, owner: &Address, contact: &Address) -> Result<bool, Trouble> {
        let (owner, contact) = (owned(owner), owned(contact));
        self.write(move |conn| {
            Ok(conn.execute("DELETE FROM roster WHERE owner = ?1 AND contact = ?2", (owner, contact))? > 0)
        })
    }
}

type AuthorizationRow = (String, String, u8, Option<String>);

fn authorizations(
    conn: &Connection,
    condition: &str,
    values: &[&str],
) -> Result<Vec<Authorization>, Trouble> {
    let sql = format!(
        "SELECT presentity, watcher, consent, note FROM authorization WHERE {condition} ORDER BY presentity, watcher"
    );
    let rows: Vec<AuthorizationRow> = conn
        .prepare_cached(&sql)
        .and_then(|mut q| {
            q.query_map(rusqlite::params_from_iter(values), |r| {
                Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?))
            })?
            .collect()
        })
        .map_err(trouble)?;
    rows.into_iter()
        .map(|(presentity, watcher, consent, note)| {
            let consent = Consent::from_code(consent).ok_or_else(|| damaged("a consent"))?;
            Ok(Authorization { presentity: stored(&presentity)?, watcher: stored(&watcher)?, consent, note })
        })
        .collect()
}

impl Authorizations for SqliteStore {
    fn get(&self, presentity: &Address, watcher: &Address) -> Result<Option<Authorization>, Trouble> {
        self.pool
            .with(|conn| {
                authorizations(
                    conn,
                    "presentity = ?1 AND watcher = ?2",
                    &[presentity.as_str(), watcher.as_str()],
                )
            })
            .map(|mut found| found.pop())
    }

    fn set(&self, authorization: &Authorization) -> Result<(), Trouble> {
        let (presentity, watcher) = (owned(&authorization.presentity), owned(&authorization.watcher));
        let (consent, note) = (authorization.consent as u8, authorization.note.clone());
        self.write(move |conn| {
            conn.execute(
                "INSERT OR REPLACE INTO authorization (presentity, watcher, consent, note) VALUES (?1,?2,?3,?4)",
                params![presentity, watcher, consent, note],
            )
            .map(drop)
        })
    }

    fn clear(&self, presentity: &Address, watcher: &Address) -> Result<bool, Trouble> {
        let (presentity, watcher) = (owned(presentity), owned(watcher));
        self.write(move |conn| {
            let sql = "DELETE FROM authorization WHERE presentity = ?1 AND watcher = ?2";
            Ok(conn.execute(sql, (presentity, watcher))? > 0)
        })
    }

    fn of_presentity(&self, presentity: &Address) -> Result<Vec<Authorization>, Trouble> {
        self.pool.with(|conn| authorizations(conn, "presentity = ?1", &[presentity.as_str()]))
    }

    fn of_watcher(&self, watcher: &Address) -> Result<Vec<Authorization>, Trouble> {
        self.pool.with(|conn| authorizations(conn, "watcher = ?1", &[watcher.as_str()]))
    }
}

impl Settings for SqliteStore {
    fn value(&self, key: &str) -> Result<Option<Vec<u8>>, Trouble> {
        self.pool.with(|conn| read::setting(conn, key).map_err(trouble))
    }

    fn set_value(&self, key: &str, value: &[u8]) -> Result<(), Trouble> {
        let (key, value) = (key.to_owned(), value.to_vec());
        self.write(move |conn| {
            conn.execute("INSERT OR REPLACE INTO setting (key, value) VALUES (?1, ?2)", (key, value))
                .map(drop)
        })
    }
}

impl SealedPasswords for SqliteStore {
    fn sealed(&self, account: &Address, network: &str) -> Result<Option<Vec<u8>>, Trouble> {
        self.pool.with(|conn| {
            conn.prepare_cached("SELECT box FROM sealed WHERE account = ?1 AND network = ?2")
                .and_then(|mut q| q.query_row((account.as_str(), network), |r| r.get(0)).optional())
                .map_err(trouble)
        })
    }

    fn set_sealed(&self, account: &Address, network: &str, sealed: Option<&[u8]>) -> Result<(), Trouble> {
        let (account, network, sealed) = (owned(account), network.to_owned(), sealed.map(<[u8]>::to_vec));
        self.write(move |conn| {
            match sealed {
                Some(sealed) => conn.execute(
                    "INSERT OR REPLACE INTO sealed (account, network, box) VALUES (?1, ?2, ?3)",
                    (account, network, sealed),
                )?,
                None => conn
                    .execute("DELETE FROM sealed WHERE account = ?1 AND network = ?2", (account, network))?,
            };
            Ok(())
        })
    }
}
