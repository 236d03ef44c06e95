//! From when on something counts as an outbreak.

/// The thresholds. Times are in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Is anything looked for? What an administrator stopped stays stopped without.
    pub enabled: bool,
    /// So many different people must get something from one sender, for that sender to count.
    pub recipients: usize,
    /// Within so much time.
    pub burst: u64,
    /// Who sends on what came so shortly before has not thought about it.
    pub reaction: u64,
    /// So many of those make an outbreak.
    pub carriers: usize,
    /// So many senders at once make one however they came by it.
    pub senders: usize,
    /// Nothing older counts.
    pub window: u64,
    /// So many held messages of one sender mute the sender; 0: never.
    pub mute_after: u32,
    /// So many senders of one partner with held messages isolate the partner; 0: never.
    pub isolate_after: u32,
    /// What was done automatically ends so long after the last that was stopped.
    pub expire: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            enabled: true,
            recipients: 8,
            burst: 10_000,
            reaction: 60_000,
            carriers: 2,
            senders: 10,
            window: 600_000,
            mute_after: 20,
            isolate_after: 20,
            expire: 3_600_000,
        }
    }
}
