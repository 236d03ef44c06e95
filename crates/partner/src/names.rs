//! For which domains a certificate was issued.

use model::Dialect;
use x509_parser::der_parser::asn1_rs::{Any, FromDer, Ia5String, Utf8String};
use x509_parser::der_parser::oid::Oid;
use x509_parser::prelude::{GeneralName, X509Certificate};

/// id-on-xmppAddr (RFC 6120 section 13.7.1.4).
const XMPP_ADDR: &str = "1.3.6.1.5.5.7.8.5";
/// id-on-dnsSRV (RFC 4985).
const DNS_SRV: &str = "1.3.6.1.5.5.7.8.7";

/// A domain as DNS has it.
pub fn ascii(domain: &str) -> String {
    idna::domain_to_ascii(domain).unwrap_or_else(|_| domain.to_ascii_lowercase())
}

/// Does a certificate name this domain, in a way that counts for the dialect (RFC 6125; RFC 6120 section 13.7.1.2;
/// RFC 5922 section 7)? The common name counts for nothing.
pub(crate) fn names(certificate: &X509Certificate<'_>, domain: &str, dialect: Dialect) -> bool {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return false };
    // Certificates name domains as DNS does, in ASCII; only xmppAddr is in Unicode (RFC 6125 section 6.4.2).
    let ascii = self::ascii(domain);
    extension.value.general_names.iter().any(|name| match name {
        GeneralName::DNSName(dns) => matches(dns, &ascii),
        GeneralName::URI(uri) => dialect == Dialect::Sip && is_sip_identity(uri, &ascii),
        GeneralName::OtherName(oid, value) if dialect == Dialect::Xmpp => other(oid, value, &ascii, domain),
        _ => false,
    })
}

/// Everything a certificate names, for people.
pub(crate) fn listed(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return Vec::new() };
    let text = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(dns) => Some((*dns).to_owned()),
        GeneralName::URI(uri) => Some((*uri).to_owned()),
        GeneralName::OtherName(oid, value) => other_text(oid, value),
        _ => None,
    };
    extension.value.general_names.iter().filter_map(text).collect()
}

/// A wildcard stands for exactly one label, the leftmost (RFC 6125 section 6.4.3).
fn matches(pattern: &str, domain: &str) -> bool {
    let pattern = pattern.to_ascii_lowercase();
    match pattern.strip_prefix("*.") {
        Some(rest) => domain.split_once('.').is_some_and(|(_, tail)| tail == rest && rest.contains('.')),
        None => pattern == domain,
    }
}

/// A SIP domain identity is a `sip` URI without a user part (RFC 5922 section 7.1).
fn is_sip_identity(uri: &str, domain: &str) -> bool {
    let Some((scheme, rest)) = uri.split_once(':') else { return false };
    scheme.eq_ignore_ascii_case("sip") && !rest.contains('@') && rest.eq_ignore_ascii_case(domain)
}

fn other(oid: &Oid<'_>, value: &[u8], ascii: &str, domain: &str) -> bool {
    let Some(text) = other_text(oid, value) else { return false };
    if oid.to_id_string() == XMPP_ADDR {
        return text.to_lowercase() == domain || text.eq_ignore_ascii_case(ascii);
    }
    let Some((service, name)) = text.split_once('.') else { return false };
    matches!(service, "_xmpp-server" | "_xmpps-server") && matches(name, ascii)
}

fn other_text(oid: &Oid<'_>, value: &[u8]) -> Option<String> {
    // The value is wrapped in an explicit tag 0.
    let (_, wrapped) = Any::from_der(value).ok()?;
    match oid.to_id_string().as_str() {
        XMPP_ADDR => Utf8String::from_der(wrapped.data).ok().map(|(_, text)| text.string()),
        DNS_SRV => Ia5String::from_der(wrapped.data).ok().map(|(_, text)| text.string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_stand_for_one_label() {
        for (pattern, domain, same) in [
            ("a.example", "a.example", true),
            ("A.Example", "a.example", true),
            ("*.example.com", "im.example.com", true),
            ("*.example.com", "example.com", false),
            ("*.example.com", "a.b.example.com", false),
            ("*.com", "example.com", false),
            ("a*.example.com", "ab.example.com", false),
        ] {
            assert_eq!(matches(pattern, domain), same, "{pattern} {domain}");
        }
        assert!(is_sip_identity("sip:example.com", "example.com"));
        assert!(!is_sip_identity("sip:bob@example.com", "example.com"));
        assert!(!is_sip_identity("sips:example.com", "example.com"));
    }
}
