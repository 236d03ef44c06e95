use std::fmt;
use std::sync::Arc;

type Judge = dyn Fn(&str) -> bool + Send + Sync;

/// Says of a domain that is not ours whether other servers reach it through us. What is agreed with partners changes
/// while a door is open, so it is asked each time; quick, and the same for the same agreements.
#[derive(Clone, Default)]
pub struct Carries(Option<Arc<Judge>>);

impl Carries {
    /// As this judge says.
    pub fn by(judge: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(judge)))
    }

    /// Is it reached through us?
    pub fn has(&self, domain: &str) -> bool {
        self.0.as_ref().is_some_and(|judge| judge(domain))
    }
}

impl fmt::Debug for Carries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Carries(..)")
    }
}
