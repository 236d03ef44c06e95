use model::{Address, Admission, Dialect, DomainPair, Envelope, Reason, Refusal};
use ports::{Applicant, Partners, Route};

/// A server without partners: federation is switched off.
#[derive(Debug, Clone, Copy, Default)]
pub struct Secluded;

fn off() -> Refusal {
    Refusal::new(Reason::RemoteNotFound).with_text("this server does not federate").by_rule("federation.mode")
}

impl Partners for Secluded {
    fn admit(&self, _: &Applicant) -> Result<Admission, Refusal> {
        Err(off())
    }

    fn permit(&self, _: &Envelope) -> Result<(), Refusal> {
        // Between two domains of ours; for any other there is no route.
        Ok(())
    }

    fn carries(&self, _: &Address) -> bool {
        false
    }

    fn routes(&self, pair: &DomainPair) -> Result<Vec<Route>, Refusal> {
        Err(off().with_text(format!("this server has no way to {}", pair.remote)))
    }

    fn noted(&self, _: &DomainPair, _: Dialect, _: &Result<(), Refusal>) {}
}
