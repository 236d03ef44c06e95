//! Which rows of the record are meant: the same words for whoever searches, exports or reviews.

use super::when::Stretch;
use web::SearchQuestion;

/// Rows of the record; all that is said must fit.
#[derive(Debug, clap::Args)]
pub(super) struct Which {
    /// Who sent it: an address, or a domain.
    #[arg(long)]
    from: Option<String>,
    /// Whom it was for: an address, or a domain.
    #[arg(long)]
    to: Option<String>,
    /// Who sent it or was to get it; may be given twice, for what passed between two.
    #[arg(long)]
    with: Vec<String>,
    /// What passed between us and a partner, by name.
    #[arg(long)]
    partner: Option<String>,
    /// What it is: message, receipt, subscribe, authorize...; publish (presence), outcomes and admin are found only when they are named.
    #[arg(long)]
    kind: Option<String>,
    /// The protocol it came by: xmpp, sip.
    #[arg(long)]
    protocol: Option<String>,
    /// What the rules said: passed, refused, held, changed, released.
    #[arg(long)]
    verdict: Option<String>,
    /// The rule that said so, such as rule:cards.
    #[arg(long)]
    rule: Option<String>,
    /// What there is in it: files, e2e...
    #[arg(long)]
    has: Option<String>,
    #[command(flatten)]
    stretch: Stretch,
}

impl Which {
    /// As the API asks it, with these words.
    pub(super) fn question(&self, words: &str) -> SearchQuestion {
        SearchQuestion {
            words: Some(words.to_owned()).filter(|words| !words.trim().is_empty()),
            from: self.from.clone(),
            to: self.to.clone(),
            with: self.with.clone(),
            partner: self.partner.clone(),
            kind: self.kind.clone(),
            dialect: self.protocol.clone(),
            verdict: self.verdict.clone(),
            rule: self.rule.clone(),
            has: self.has.clone(),
            since: self.stretch.since,
            until: self.stretch.until,
            ..SearchQuestion::default()
        }
    }
}
