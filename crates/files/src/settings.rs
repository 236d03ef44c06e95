/// What the configuration says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How others reach us, `https://...` without a slash at its end; `None`: at the listener itself.
    pub url: Option<String>,
    /// The largest file, in bytes.
    pub max_bytes: u64,
    /// What one account may upload within a day, in bytes.
    pub daily_bytes: u64,
    /// How long files are kept; 0: for ever.
    pub retention_days: u32,
}
