//! The one table of what can be done over the API, and which role may do it. Whatever is not in it, nobody may do.

use crate::Role;

/// What becomes of an act for which two are needed (`[control] four_eyes`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Second {
    /// It is kept as it was asked for, and done when the second one approves.
    Does,
    /// Its answer is for who asked: the second one allows it once, and who asked asks again.
    Grants,
    /// The same, and nothing but its path is kept: a secret is in it.
    Blind,
    /// Two are never needed for it.
    Never,
}

/// Something that can be done over the API.
#[derive(Debug)]
pub struct Act {
    /// Its name on record and in the configuration; several routes may be one act.
    pub name: &'static str,
    /// The HTTP method.
    pub method: &'static str,
    /// The path, with `{name}` for what varies.
    pub path: &'static str,
    roles: u8,
    /// What becomes of it where two are needed.
    pub second: Second,
}

impl Act {
    /// May this role do it?
    pub fn is_for(&self, role: Role) -> bool {
        self.roles & bit(role) != 0
    }

    /// The roles that may do it.
    pub fn roles(&self) -> impl Iterator<Item = Role> {
        Role::ALL.into_iter().filter(|role| self.is_for(*role))
    }
}

const fn bit(role: Role) -> u8 {
    1 << role as u8
}

const A: u8 = bit(Role::Administrator);
const S: u8 = bit(Role::SecurityOfficer);
const C: u8 = bit(Role::ComplianceReviewer);
const U: u8 = bit(Role::Auditor);
const H: u8 = bit(Role::HelpDesk);
const ALL: u8 = A | S | C | U | H | bit(Role::ReadOnly);

use Second::{Blind, Does, Grants, Never};

const fn act(name: &'static str, method: &'static str, path: &'static str, roles: u8, second: Second) -> Act {
    Act { name, method, path, roles, second }
}

/// Every act.
pub const ACTS: &[Act] = &[
    act("api.describe", "GET", "/v1/openapi.json", ALL, Never),
    act("status.show", "GET", "/v1/status", ALL, Never),
    act("metrics.show", "GET", "/metrics", ALL, Never),
    act("reload", "POST", "/v1/reload", A, Does),
    act("renew", "POST", "/v1/certificates/renew", A, Does),
    act("retention", "POST", "/v1/retention", A | C, Does),
    act("retention.show", "GET", "/v1/retention", A | S | C | U, Grants),
    act("retention.show", "GET", "/v1/retention/versions", A | S | C | U, Grants),
    act("retention.set", "PUT", "/v1/retention", A | C, Does),
    act("retention.preview", "POST", "/v1/retention/preview", A | C | U, Grants),
    act("review.list", "GET", "/v1/reviews", A | C | U, Grants),
    act("review.list", "GET", "/v1/reviews/{name}", A | C | U, Grants),
    act("review.list", "GET", "/v1/reviews/{name}/rows", A | C | U, Grants),
    act("review.list", "GET", "/v1/privileged", A | C | U, Grants),
    act("review.start", "POST", "/v1/reviews", A | C, Does),
    act("review.content", "GET", "/v1/reviews/{name}/next", A | C, Grants),
    act("review.content", "GET", "/v1/reviews/{name}/rows/{row}", A | C, Grants),
    act("review.mark", "POST", "/v1/reviews/{name}/rows/{row}", A | C, Does),
    act("review.export", "GET", "/v1/reviews/{name}/decisions", A | C | U, Grants),
    act("subject.export", "POST", "/v1/subjects/export", A | C, Grants),
    act("subject.preview", "POST", "/v1/subjects/preview", A | C, Grants),
    act("subject.erase", "POST", "/v1/subjects/erase", A | C, Does),
    act("matter.list", "GET", "/v1/matters", A | S | C | U, Grants),
    act("matter.list", "GET", "/v1/matters/{name}", A | S | C | U, Grants),
    act("matter.open", "POST", "/v1/matters", A | C, Does),
    act("matter.hold", "POST", "/v1/matters/{name}/holds", A | C, Does),
    act("matter.release", "POST", "/v1/matters/{name}/release", A | C, Does),
    act("matter.close", "POST", "/v1/matters/{name}/close", A | C, Does),
    act("backup", "POST", "/v1/backups", A, Never),
    act("user.list", "GET", "/v1/users", ALL, Grants),
    act("user.add", "PUT", "/v1/users/{account}", A, Blind),
    act("user.passwd", "PUT", "/v1/users/{account}/password", A | H, Blind),
    act("user.remove", "DELETE", "/v1/users/{account}", A, Does),
    act("group.list", "GET", "/v1/groups", ALL, Grants),
    act("group.list", "GET", "/v1/groups/{name}", ALL, Grants),
    act("group.add", "POST", "/v1/groups/{name}", A | S, Does),
    act("group.remove", "POST", "/v1/groups/{name}/remove", A | S, Does),
    act("group.remove", "DELETE", "/v1/groups/{name}", A | S, Does),
    act("partner.list", "GET", "/v1/partners", ALL, Grants),
    act("partner.list", "GET", "/v1/partners/{name}", ALL, Grants),
    act("partner.list", "GET", "/v1/observed", ALL, Grants),
    act("partner.list", "GET", "/v1/invitations", A | S | U, Grants),
    act("partner.add", "POST", "/v1/partners", A, Does),
    act("partner.edit", "PUT", "/v1/partners/{name}", A, Does),
    act("partner.remove", "DELETE", "/v1/partners/{name}", A, Does),
    act("partner.suspend", "POST", "/v1/partners/{name}/suspend", A | S, Does),
    act("partner.resume", "POST", "/v1/partners/{name}/resume", A | S, Does),
    act("partner.forget", "POST", "/v1/partners/{name}/forget", A | H, Does),
    act("partner.test", "POST", "/v1/partners/{name}/test", A | S | H, Grants),
    act("partner.sign", "POST", "/v1/partners/{name}/certificate", A, Grants),
    act("partner.revoke", "POST", "/v1/partners/{name}/revocation", A | S, Does),
    act("partner.invite", "POST", "/v1/invitations", A, Grants),
    act("partner.withdraw", "DELETE", "/v1/invitations/{id}", A | S, Does),
    act("partner.read", "POST", "/v1/papers/read", A | S | U, Grants),
    act("partner.accept", "POST", "/v1/papers/accept", A, Grants),
    act("policy.show", "GET", "/v1/policy", ALL, Grants),
    act("policy.show", "GET", "/v1/policy/versions", ALL, Grants),
    act("policy.show", "GET", "/v1/policy/diff", ALL, Grants),
    act("policy.check", "POST", "/v1/policy/check", A | S | C | U, Never),
    act("policy.explain", "POST", "/v1/policy/explain", A | S | C | U | H, Grants),
    act("policy.set", "PUT", "/v1/policy", A | S | C, Does),
    act("policy.rollback", "POST", "/v1/policy/rollback", A | S | C, Does),
    act("policy.trial", "PUT", "/v1/policy/trial", A | S | C, Does),
    act("policy.trial", "DELETE", "/v1/policy/trial", A | S | C, Does),
    act("policy.report", "GET", "/v1/policy/trial", A | S | C | U, Grants),
    act("policy.replay", "POST", "/v1/policy/replay", A | S | C, Grants),
    act("quarantine.list", "GET", "/v1/quarantine", A | S | C | U, Grants),
    act("quarantine.look", "GET", "/v1/quarantine/{seq}", A | S | C, Grants),
    act("quarantine.release", "POST", "/v1/quarantine/{seq}/release", A | S | C, Does),
    act("quarantine.delete", "POST", "/v1/quarantine/{seq}/delete", A | S | C, Does),
    act("files.list", "GET", "/v1/files", A | S | C, Grants),
    act("files.release", "POST", "/v1/files/{id}/release", A | S | C, Does),
    act("files.delete", "DELETE", "/v1/files/{id}", A | S | C, Does),
    act("quarantine.expire", "POST", "/v1/quarantine/expire", A | S | C, Does),
    act("outbreak.status", "GET", "/v1/outbreak", ALL, Grants),
    act("outbreak.stop", "POST", "/v1/outbreak/stop", A | S, Does),
    act("outbreak.release", "POST", "/v1/outbreak/release", A | S, Does),
    act("outbreak.delete", "POST", "/v1/outbreak/delete", A | S, Does),
    act("spim.status", "GET", "/v1/spim", A | S | C | U | H, Grants),
    act("spim.show", "GET", "/v1/spim/{who}", A | S | C | U | H, Grants),
    act("spim.block", "POST", "/v1/spim/{who}/block", A | S, Does),
    act("spim.forgive", "POST", "/v1/spim/{who}/forgive", A | S, Does),
    act("journal.list", "GET", "/v1/journal", A | S | C | U, Grants),
    act("journal.read", "GET", "/v1/journal/{seq}", A | C, Grants),
    act("report", "GET", "/v1/reports/{period}", A | C | U, Grants),
    act("report.aggregates", "GET", "/v1/reports/{period}/aggregates", ALL, Never),
    act("search", "POST", "/v1/search", A | S | C | U, Grants),
    act("search.content", "POST", "/v1/search/content", A | C, Grants),
    act("search.context", "POST", "/v1/search/context", A | C, Grants),
    act("export", "POST", "/v1/exports", A | C, Grants),
    // Of an export that was allowed, by who began it.
    act("export.read", "GET", "/v1/exports/{id}/rows", A | C, Never),
    act("export.read", "GET", "/v1/exports/{id}/acts", A | C, Never),
    act("export.read", "GET", "/v1/exports/{id}/checkpoints", A | C, Never),
    act("export.read", "GET", "/v1/exports/{id}/files/{sha256}", A | C, Never),
    act("export.read", "GET", "/v1/exports/{id}/accounts", A, Never),
    act("export.done", "POST", "/v1/exports/{id}/done", A | C, Never),
    act("import", "POST", "/v1/imports", A, Grants),
    act("import.look", "POST", "/v1/imports/look", A, Never),
    act("import.look", "POST", "/v1/imports/look/accounts", A, Never),
    act("import.add", "POST", "/v1/imports/{id}", A, Never),
    act("import.add", "POST", "/v1/imports/{id}/accounts", A, Never),
    act("import.add", "POST", "/v1/imports/{id}/done", A, Never),
    act("trace", "GET", "/v1/trace", A | S | C | U | H, Grants),
    act("losses", "GET", "/v1/losses", A | S | C | U, Grants),
    act("checkpoint.list", "GET", "/v1/journal/checkpoints", A | S | C | U, Never),
    act("checkpoint", "POST", "/v1/journal/checkpoints", A | S | C, Never),
    act("journal.verify", "POST", "/v1/journal/verify", A | S | C | U, Never),
    act("admin.whoami", "GET", "/v1/admins/me", ALL, Never),
    act("admin.list", "GET", "/v1/admins", A | S | C | U, Grants),
    act("admin.add", "POST", "/v1/admins", A, Does),
    act("admin.role", "PUT", "/v1/admins/{name}", A, Does),
    act("admin.remove", "DELETE", "/v1/admins/{name}", A, Does),
    act("admin.token", "POST", "/v1/admins/{name}/tokens", A, Grants),
    act("admin.revoke", "DELETE", "/v1/admins/{name}/tokens", A | S, Does),
    // Which requests somebody may see and decide depends on what is asked for.
    act("approve.list", "GET", "/v1/requests", ALL, Never),
    act("approve.show", "GET", "/v1/requests/{id}", ALL, Never),
    act("approve.yes", "POST", "/v1/requests/{id}/yes", ALL, Never),
    act("approve.no", "POST", "/v1/requests/{id}/no", ALL, Never),
];

/// The act of a route.
pub fn find(method: &str, path: &str) -> Option<&'static Act> {
    ACTS.iter().find(|act| act.method == method && act.path == path)
}

/// Is there an act on this path, by whatever method?
pub fn of_path(path: &str) -> bool {
    ACTS.iter().any(|act| act.path == path)
}

/// An act that two may be needed for, by its name.
///
/// # Errors
/// In words, with the name that was meant.
pub fn named(name: &str) -> Result<&'static Act, String> {
    let can = || ACTS.iter().filter(|act| act.second != Never);
    if let Some(act) = can().find(|act| act.name == name) {
        return Ok(act);
    }
    if ACTS.iter().any(|act| act.name == name) {
        return Err(format!("{name:?} always needs one alone"));
    }
    let meant = policy::nearest(name, can().map(|act| act.name));
    let meant = meant.map_or_else(
        || "`rialto admin acts` lists them".to_owned(),
        |meant| format!("did you mean `{meant}`?"),
    );
    Err(format!("{name:?} is no act; {meant}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sound() {
        for (i, act) in ACTS.iter().enumerate() {
            assert!(act.is_for(Role::Administrator), "{act:?}");
            let same = |other: &Act| other.method == act.method && other.path == act.path;
            assert!(!ACTS[i + 1..].iter().any(same), "twice: {act:?}");
            // What one name means must not depend on the route.
            let one = ACTS.iter().filter(|other| other.name == act.name).all(|o| o.second == act.second);
            assert!(one, "{}", act.name);
        }
        let reads = |role| ACTS.iter().filter(move |a| a.is_for(role) && a.method != "GET").map(|a| a.name);
        let auditor: Vec<_> = reads(Role::Auditor).collect();
        let harmless = [
            "partner.read",
            "policy.check",
            "policy.explain",
            "search",
            "journal.verify",
            "retention.preview",
        ];
        let only: Vec<_> =
            auditor.iter().filter(|name| !harmless.contains(name) && !name.starts_with("approve.")).collect();
        assert!(only.is_empty(), "an auditor changes nothing: {only:?}");
        assert!(reads(Role::ReadOnly).all(|name| name.starts_with("approve.")));
    }

    #[test]
    fn names_are_looked_up_with_a_suggestion() {
        assert_eq!(named("policy.set").unwrap().path, "/v1/policy");
        assert_eq!(named("status.show").unwrap_err(), "\"status.show\" always needs one alone");
        assert!(named("quarantine.relase").unwrap_err().ends_with("did you mean `quarantine.release`?"));
    }
}
