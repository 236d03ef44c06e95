//! SIP as it is written in transcripts: lines for bytes, `{len}` for a length, `@digest(...)` for a proof.

use sha2::Digest as _;
use testkit::Names;

/// A block as bytes.
pub fn render(block: &[&str], names: &Names) -> Vec<u8> {
    let text = names.fill(&block.join("\r\n"));
    let text: String = text
        .split("\r\n")
        .map(|l| match l.split_once("@digest(") {
            Some((head, args)) => format!("{head}{}", digest(args.trim_end_matches(')'), names)),
            None => l.to_owned(),
        })
        .collect::<Vec<_>>()
        .join("\r\n");
    let (head, body) = match text.split_once("\r\n\r\n") {
        Some((h, b)) => (h.to_owned(), b.to_owned()),
        None => (text, String::new()),
    };
    format!("{}\r\n\r\n{body}", head.replace("{len}", &body.len().to_string())).into_bytes()
}

/// `ALGORITHM user password METHOD uri nc`, with the captured {nonce} and {realm}; nc 0 is the form without qop.
fn digest(args: &str, names: &Names) -> String {
    let a: Vec<&str> = args.split(' ').collect();
    let value = |name: &str| names.get(name).expect("a challenge was captured");
    let (realm, nonce) = (value("realm"), value("nonce"));
    let ha1 = ha1(a[0], a[1], realm, a[2]);
    let ha2 = hex(a[0], &format!("{}:{}", a[3], a[4]));
    if a[5] == "0" {
        let response = hex(a[0], &format!("{ha1}:{nonce}:{ha2}"));
        return format!(
            "Digest username=\"{}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{}\", nc=\"00000001\", response=\"{response}\"",
            a[1], a[4]
        );
    }
    let nc = format!("{:0>8}", a[5]);
    let response = hex(a[0], &format!("{ha1}:{nonce}:{nc}:0a4f113b:auth:{ha2}"));
    format!(
        "Digest username=\"{}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{}\", response=\"{response}\", \
         algorithm={}, qop=auth, nc={nc}, cnonce=\"0a4f113b\"",
        a[1], a[4], a[0]
    )
}

/// Bytes as a block.
pub fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes).replace("\r\n", "\n");
    // The blank line that ends a head without a body is not written in transcripts.
    format!("\n{}", text.strip_suffix("\n\n").unwrap_or(&text)).trim_end_matches('\n').to_owned()
}

pub fn hex(algorithm: &str, data: &str) -> String {
    let to_hex = |b: &[u8]| b.iter().map(|b| format!("{b:02x}")).collect::<String>();
    match algorithm {
        "MD5" => to_hex(&md5::Md5::digest(data.as_bytes())),
        _ => to_hex(&sha2::Sha256::digest(data.as_bytes())),
    }
}

pub fn ha1(algorithm: &str, user: &str, realm: &str, password: &str) -> String {
    hex(algorithm, &format!("{user}:{realm}:{password}"))
}
