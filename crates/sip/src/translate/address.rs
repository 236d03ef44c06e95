//! SIP URI and address (RFC 7247 6).
//!
//! Addresses in the house are unescaped, so the XMPP escapes of RFC 7247 6.4 (`\26`, `\27`, `\2f` and the other seven
//! of XEP-0106) are the XMPP door's business; here a user part is only percent-decoded and percent-encoded. Domains in
//! the house are in Unicode and hosts of URIs in ASCII.

use std::borrow::Cow;

use model::{Address, Device, Endpoint};

use crate::wire::{NameAddr, SipUri};

/// Reads who a URI names: the address, and the device of its `gr` parameter (RFC 7247 6.3). `None` for schemes
/// without a user-at-host form, and for what no address can hold.
pub fn from_uri(text: &str) -> Option<Endpoint> {
    let uri = SipUri::parse(text)?;
    let address = address_of(&uri)?;
    // A temporary GRUU has an opaque user part and a bare `gr`; it is not mapped (RFC 7247 6.3).
    let device = uri.param("gr").filter(|g| !g.is_empty()).and_then(|g| Device::new(g).ok());
    Some(Endpoint { address, device })
}

/// The address of a URI. User parts are folded: a gateway between dialects must not see two people in two spellings.
pub fn address_of(uri: &SipUri) -> Option<Address> {
    let user = uri.user.as_deref().unwrap_or("").to_lowercase();
    Address::new(&user, &domain(&uri.host)?).ok()
}

/// The domain of a host: A-labels become U-labels, a dot at the end is left out. `None` where one stands for nothing, is empty, or
/// has a hyphen at its begin or end (RFC 3261 section 25.1): whoever reads by the grammar could read nothing that names it.
fn domain(host: &str) -> Option<Cow<'_, str>> {
    let host = host.strip_suffix('.').unwrap_or(host);
    if host.split('.').any(|label| label.is_empty() || label.starts_with('-') || label.ends_with('-')) {
        return None;
    }
    if !host.contains("xn--") {
        return Some(host.into());
    }
    let (unicode, good) = idna::domain_to_unicode(host);
    good.ok().map(|()| unicode.into())
}

/// The same for a From or To header.
pub fn from_header(value: &NameAddr) -> Option<Endpoint> {
    from_uri(&value.uri)
}

/// `sip:user@domain`.
pub fn to_uri(address: &Address) -> String {
    match address.user() {
        Some(user) => format!("sip:{}@{}", encode(user, b"-_.!~*'()&=+$,/"), host(address.domain())),
        None => format!("sip:{}", host(address.domain())),
    }
}

/// `sip:user@domain;gr=device`.
pub fn endpoint_uri(endpoint: &Endpoint) -> String {
    match &endpoint.device {
        Some(device) => {
            format!("{};gr={}", to_uri(&endpoint.address), encode(device.as_str(), b"-_.!~*'()[]/:&+$"))
        }
        None => to_uri(&endpoint.address),
    }
}

/// Percent-encodes all but letters, digits and `keep`. `;` and `?` are legal in a user part, but careless readers stop
/// at them.
fn encode(text: &str, keep: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    for b in text.bytes() {
        if b.is_ascii_alphanumeric() || keep.contains(&b) {
            out.push(char::from(b));
        } else {
            out.push_str(&format!("%{b:02X}"));
        }
    }
    out
}

/// The host of a domain: its U-labels become A-labels. An underscore, which names in DNS may have and hosts in RFC 3261 may
/// not, stays: nobody reads it in any other way. What is neither is percent-encoded, as RFC 3986 allows.
pub fn host(domain: &str) -> String {
    if !domain.is_ascii()
        && let Ok(ascii) = idna::domain_to_ascii(domain)
    {
        return ascii;
    }
    encode(domain, b"-._[]:")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn table() {
        for (uri, address, device) in [
            ("sip:Romeo@Example.NET", "romeo@example.net", None),
            ("sips:romeo@example.net:5061;transport=tls", "romeo@example.net", None),
            ("sip:d%27artagnan%20%2f@example.net", "d'artagnan /@example.net", None),
            ("sip:juliet@example.com;gr=balcony%20x", "juliet@example.com", Some("balcony x")),
            ("sip:juliet@example.com;gr", "juliet@example.com", None),
            ("sip:+1555;phone-context=x@example.com", "+1555@example.com", None),
            ("sip:fran%C3%A7ois%40home@example.com", "françois@home@example.com", None),
            ("im:a%26b@example.com", "a&b@example.com", None),
            ("pres:romeo@example.net", "romeo@example.net", None),
            ("sip:example.com", "example.com", None),
            ("sip:a@[2001:db8::1]:5060", "a@[2001:db8::1]", None),
            // Escaped, it is part of the name.
            ("sip:ceo%3Bx@example.com", "ceo;x@example.com", None),
            ("sip:ceo%3bx;y=z@example.com", "ceo;x@example.com", None),
            ("im:ceo%3Bx@example.com", "ceo;x@example.com", None),
            ("sip:a@XN--bcher-kva.example", "a@bücher.example", None),
            ("sip:a@example.com.", "a@example.com", None),
        ] {
            let e = from_uri(uri).unwrap_or_else(|| panic!("{uri}"));
            assert_eq!(
                (e.address.as_str(), e.device.as_ref().map(Device::as_str)),
                (address, device),
                "{uri}"
            );
        }
        for bad in [
            "tel:+15551234",
            "sip:%00@example.com",
            "http://x",
            "xmpp:a@b",
            "sip:",
            "sip:a@xn--a.example",
            "sip:a@b.example-",
            "sip:a@-b.example",
            "sip:a@b-.example",
            "sip:a@b..example",
            "sip:a@.example",
            "im:a@b.example..",
        ] {
            assert_eq!(from_uri(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_rfc_7247_wants_encoded_is() {
        let a = Address::new("#%[\\]^`{|} \"<>:;?ü", "example.com").unwrap();
        assert_eq!(to_uri(&a), "sip:%23%25%5B%5C%5D%5E%60%7B%7C%7D%20%22%3C%3E%3A%3B%3F%C3%BC@example.com");
    }

    #[test]
    fn hosts_are_written_as_dns_has_them() {
        let uri = "sip:a@xn--bcher-kva.example";
        let e = from_uri(uri).unwrap();
        assert_eq!(e.address, Address::new("a", "bücher.example").unwrap());
        assert_eq!(to_uri(&e.address), uri);
        assert_eq!(to_uri(&Address::new("a", "[2001:db8::1]").unwrap()), "sip:a@[2001:db8::1]");
        assert_eq!(to_uri(&Address::new("a", "my_office.example").unwrap()), "sip:a@my_office.example");
    }

    proptest! {
        #[test]
        fn addresses_round_trip(user in "[^\\p{Cc}]{1,20}", device in "[^\\p{Cc}]{1,20}") {
            let user = user.to_lowercase();
            let e = Endpoint::full(Address::new(&user, "example.com").unwrap(), Device::new(&device).unwrap());
            // Lower-casing is not idempotent for a handful of letters; those cannot be normalised addresses.
            prop_assume!(user.to_lowercase() == user);
            prop_assert_eq!(from_uri(&endpoint_uri(&e)), Some(e));
        }
    }
}
