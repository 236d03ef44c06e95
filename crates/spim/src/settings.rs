use model::Address;
use std::path::PathBuf;

/// What becomes of what a stranger may not send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Answer {
    /// It is refused, and the sender hears why.
    #[default]
    Refuse,
    /// It is not delivered, and the sender does not hear it.
    Drop,
    /// It waits for a person to look at it.
    Hold,
    /// It waits until its sender has answered a question.
    Challenge,
}

/// What becomes of the first message of somebody unknown from an unknown domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Greylist {
    /// It passes like any other.
    #[default]
    Off,
    /// It is refused for a while: whoever writes again later gets through.
    Refuse,
    /// It waits for a while, or until the addressee answers.
    Hold,
    /// It waits until its sender has answered a question.
    Challenge,
}

/// Where a list comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListSource {
    /// A file: one SHA-256 a line, of a bare address or a domain.
    File(PathBuf),
    /// A node of a service elsewhere, which tells what comes and goes.
    Node(Node),
}

/// A node of a publish-subscribe service (XEP-0060), whose items have such hashes as ids.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Node {
    /// The service.
    pub service: Address,
    /// The node's name.
    pub name: String,
}

impl std::fmt::Display for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.service, self.name)
    }
}

/// A list of known offenders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListSettings {
    /// Its name, for rules and people.
    pub name: String,
    /// Where it comes from.
    pub source: ListSource,
    /// What becomes of what those send who are on it.
    pub answer: Answer,
}

/// What is asked of strangers. Times are in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Is anything looked for? Whom an administrator blocked stays blocked without.
    pub enabled: bool,
    /// What becomes of a stranger's links and files; `None`: they pass.
    pub links: Option<Answer>,
    /// To so many people of ours one stranger may write in an hour; 0: to any number.
    pub sender_contacts: u32,
    /// To so many the strangers of one domain together.
    pub domain_contacts: u32,
    /// What becomes of the first message of somebody unknown from an unknown domain.
    pub greylist: Greylist,
    /// For so long.
    pub greylist_for: u64,
    /// People of our own domains are strangers to one another too.
    pub colleagues: bool,
    /// So are the people of companies with which there is an agreement.
    pub partners: bool,
    /// Whose reputation is so much below nothing, and whom three people have reported, is refused; 0: nobody.
    pub refuse_below: u32,
    /// After so long a reputation counts half.
    pub half_life: u64,
    /// Lists of known offenders.
    pub lists: Vec<ListSettings>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            enabled: true,
            links: Some(Answer::Refuse),
            sender_contacts: 20,
            domain_contacts: 200,
            greylist: Greylist::Off,
            greylist_for: 300_000,
            colleagues: false,
            partners: false,
            refuse_below: 50,
            half_life: 7 * 24 * 3_600_000,
            lists: Vec::new(),
        }
    }
}
