//! The standards that the server follows. Each is cited where the code follows it, and the tables say where.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::page::holds;
use crate::source;

/// Title, then number, title of the standard, and what of it is there; empty where nothing needs to be said.
type Chapter = (&'static str, &'static [(&'static str, &'static str, &'static str)]);

const CHAPTERS: &[Chapter] = &[
    (
        "XMPP",
        &[
            ("RFC 6120", "XMPP: Core", "streams of clients and between servers"),
            ("RFC 6121", "XMPP: Instant Messaging and Presence", "without roster versions and pre-approval"),
            ("RFC 7622", "XMPP: Address Format", ""),
            ("RFC 3921", "XMPP: Instant Messaging (2004)", "only the session request, for old clients"),
            ("XEP-0004", "Data Forms", "where service discovery tells how large a file may be"),
            ("XEP-0030", "Service Discovery", "of the server and of one's own account"),
            ("XEP-0059", "Result Set Management", "where the server itself asks a service for a long list"),
            ("XEP-0060", "Publish-Subscribe", "as a subscriber, to lists of offenders"),
            ("XEP-0071", "XHTML-IM", "read for translation, never written"),
            ("XEP-0085", "Chat State Notifications", ""),
            ("XEP-0106", "JID Escaping", ""),
            ("XEP-0178", "SASL EXTERNAL with certificates", "between servers"),
            ("XEP-0184", "Message Delivery Receipts", ""),
            ("XEP-0185", "Dialback Key Generation", ""),
            ("XEP-0191", "Blocking Command", "people and domains, not single devices; against SIP too"),
            ("XEP-0198", "Stream Management", "acknowledgements and resumption"),
            ("XEP-0199", "XMPP Ping", "answered"),
            ("XEP-0203", "Delayed Delivery", ""),
            ("XEP-0220", "Server Dialback", ""),
            ("XEP-0280", "Message Carbons", ""),
            ("XEP-0288", "Bidirectional Server-to-Server Connections", ""),
            ("XEP-0297", "Stanza Forwarding", "for carbons"),
            ("XEP-0308", "Last Message Correction", "a message that a rule changed stays a correction"),
            ("XEP-0333", "Displayed Markers", ""),
            (
                "XEP-0334",
                "Message Processing Hints",
                "`no-store` and `no-permanent-store` keep a message from waiting",
            ),
            ("XEP-0344", "Dialback without Dialback", "a certificate proves the domain of a dialback"),
            ("XEP-0359", "Unique and Stable Stanza IDs", ""),
            ("XEP-0363", "HTTP File Upload", "with a scanner between the two"),
            (
                "XEP-0368",
                "SRV records for XMPP over TLS",
                "listeners with TLS from the first byte, and other servers found by it",
            ),
            ("XEP-0377", "Spam Reporting", "on record, and a matter of reputation"),
            ("XEP-0440", "SASL Channel-Binding Type Capability", ""),
        ],
    ),
    (
        "SIP/SIMPLE",
        &[
            ("RFC 2045", "MIME: Format of Bodies", "headers of a content, without comments"),
            ("RFC 2231", "MIME Parameter Values in pieces or encoded", "refused"),
            ("RFC 2046", "MIME: Media Types", "bodies of several parts"),
            ("RFC 3261", "SIP", "a registrar, message server and stateful proxy for calls"),
            ("RFC 3428", "MESSAGE", ""),
            ("RFC 3581", "`rport`", ""),
            ("RFC 3856", "Presence event package", ""),
            ("RFC 3859", "Common Profile for Presence", "`pres:` addresses"),
            ("RFC 3862", "CPIM", ""),
            ("RFC 3863", "PIDF", ""),
            ("RFC 3903", "PUBLISH", ""),
            ("RFC 3994", "isComposing", ""),
            ("RFC 4320", "Fixes for non-INVITE transactions", ""),
            ("RFC 4475", "Torture test messages", "every one is a test"),
            ("RFC 4479", "Presence data model", "the person element"),
            ("RFC 4480", "RPID", "activities"),
            ("RFC 5438", "IMDN", "delivery and display"),
            ("RFC 5621", "Message Body Handling", "bodies of several parts"),
            ("RFC 5626", "Outbound", "instance ids and CRLF keep-alive; no flow tokens"),
            ("RFC 5630", "`sips:`", "refused where TLS on every hop cannot be promised"),
            ("RFC 6026", "Transactions, corrected", ""),
            ("RFC 6665", "Event notification", ""),
        ],
    ),
    (
        "Between them",
        &[
            ("RFC 7247", "SIP and XMPP: architecture, addresses, errors", ""),
            ("RFC 7572", "SIP and XMPP: instant messages", ""),
            ("RFC 7573", "SIP and XMPP: chat sessions", "the table of chat states only; no MSRP"),
            ("RFC 8048", "SIP and XMPP: presence", ""),
        ],
    ),
    (
        "Other servers and certificates",
        &[
            ("RFC 2782", "SRV records", ""),
            ("RFC 3263", "Locating SIP servers", "NAPTR for TLS, SRV, addresses"),
            ("RFC 4035", "DNSSEC", "validated here, for DANE"),
            ("RFC 6125", "Names in certificates", "the common name counts for nothing"),
            ("RFC 6698", "TLSA records", ""),
            ("RFC 7671", "DANE: operational guidance", "usages 0 to 3"),
            ("RFC 7673", "DANE with SRV records", "for XMPP and SIP, in both directions"),
            ("RFC 7711", "POSH", "for XMPP; its own certificates are named, too"),
            ("RFC 8555", "ACME", "`http-01` and `dns-01`"),
            ("XEP-0220", "Server dialback", ""),
        ],
    ),
    (
        "Logins",
        &[
            ("RFC 4616", "PLAIN", "over TLS only"),
            ("RFC 5802", "SCRAM-SHA-1", "with and without channel binding"),
            ("RFC 5929", "Channel bindings for TLS", "`tls-server-end-point`"),
            ("RFC 7616", "HTTP digest", "SHA-256 and MD5, for SIP"),
            ("RFC 7677", "SCRAM-SHA-256", "with and without channel binding"),
            ("RFC 8265", "Names and passwords (PRECIS)", ""),
            ("RFC 8760", "SIP digest with SHA-256", ""),
            ("RFC 9266", "Channel bindings for TLS 1.3", "`tls-exporter`"),
        ],
    ),
    (
        "The record",
        &[
            ("RFC 3161", "Time stamps", "asked for, and kept with checkpoints"),
            ("RFC 5424", "Syslog", "checkpoints are sent so"),
            ("RFC 5426", "Syslog over UDP", ""),
        ],
    ),
    (
        "Exports, imports and mail",
        &[
            ("RFC 3207", "STARTTLS for SMTP", "to the one mail server"),
            ("RFC 4180", "CSV", "with a mark for UTF-8 before it"),
            ("RFC 3463", "Codes for SMTP", "to tell a mail that is not wanted from everything else"),
            ("RFC 5321", "SMTP", "sending alone"),
            ("RFC 5322", "Internet messages", "a conversation of a day each"),
            ("RFC 8314", "TLS for mail", "from the first byte"),
            ("XEP-0016", "Privacy Lists", "only lists of people who are blocked, within XEP-0227"),
            ("XEP-0066", "Links of files", "named in exports"),
            ("XEP-0082", "Dates and times", ""),
            ("XEP-0091", "Legacy Delayed Delivery", "known in archives"),
            (
                "XEP-0227",
                "Portable format for servers",
                "accounts, contact lists, archived and waiting messages, both ways; vCards and the rest are named and left",
            ),
            ("XEP-0313", "Message Archive Management", "only its form, within XEP-0227"),
            ("XEP-0231", "Bits of Binary", "files within messages are written out"),
            ("XEP-0422", "Message Fastening", "as the first version of retraction has it"),
            ("XEP-0424", "Message Retraction", "told as what it is in exports"),
            ("XEP-0444", "Message Reactions", "likewise"),
        ],
    ),
    (
        "Between servers",
        &[
            ("RFC 2782", "SRV records", ""),
            ("RFC 3263", "Locating SIP servers", "over TLS"),
            ("RFC 3325", "Asserted identity", "checked as From is, never asserted"),
            ("RFC 5393", "Loops of forked requests", "a request that comes back is refused"),
            ("RFC 5922", "Domain certificates in SIP", ""),
            ("RFC 5923", "Connection reuse in SIP", "between servers that both showed certificates"),
        ],
    ),
];

/// Cited for a detail of something else: no protocol that anybody could ask us for.
const DETAILS: &[&str] =
    &["RFC 1123", "RFC 2069", "RFC 2104", "RFC 3339", "RFC 3986", "RFC 5646", "RFC 5652", "RFC 6838"];

#[test]
fn every_standard_is_named_with_its_place() {
    let cited = source::citations(&["xmpp", "sip", "net", "identity", "export", "import", "mail", "server"]);
    let listed = CHAPTERS.iter().flat_map(|(_, rows)| *rows).map(|(number, ..)| *number);
    let listed: BTreeSet<&str> = listed.chain(DETAILS.iter().copied()).collect();
    let found: BTreeSet<&str> = cited.keys().map(String::as_str).collect();
    let unlisted: Vec<_> = found.difference(&listed).collect();
    let uncited: Vec<_> = listed.difference(&found).collect();
    assert!(
        unlisted.is_empty() && uncited.is_empty(),
        "cited, not listed: {unlisted:?}; listed only: {uncited:?}"
    );
    let mut text = String::new();
    for (title, rows) in CHAPTERS {
        let _ = writeln!(
            text,
            "### {title}\n\n| standard | title | what of it | in `crates/` |\n|---|---|---|---|"
        );
        for (number, what, extent) in *rows {
            let places: Vec<&str> = cited[*number].iter().map(String::as_str).collect();
            let more =
                if places.len() > 4 { format!(" and {} more", places.len() - 4) } else { String::new() };
            let shown = places[..places.len().min(4)].join(", ");
            let _ = writeln!(text, "| {number} | {what} | {extent} | {shown}{more} |");
        }
        text.push('\n');
    }
    holds("protocols.md", "standards", &text);
}
