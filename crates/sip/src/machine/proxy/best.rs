//! Which of several final answers the caller gets (RFC 3261 16.7 steps 6 and 7).

use crate::wire::Response;

/// How one of those that were asked ended.
#[derive(Debug)]
pub(super) enum Last {
    /// They said no.
    Response(Box<Response>),
    /// They said nothing, or are gone.
    Silent(u16),
}

impl Last {
    pub(super) fn status(&self) -> u16 {
        match self {
            Self::Response(response) => response.status,
            Self::Silent(status) => *status,
        }
    }
}

/// The place of the best one.
pub(super) fn best(lasts: &[Last]) -> Option<usize> {
    (0..lasts.len()).min_by_key(|at| lasts.get(*at).map_or((u16::MAX, 0), |last| rank(last.status())))
}

/// A no for everywhere counts most, then the lowest class; within 4xx what tells how to try again.
fn rank(status: u16) -> (u16, u16) {
    match status {
        600.. => (0, 0),
        401 | 407 | 415 | 420 | 484 => (4, 0),
        // Silence says less than words.
        408 | 480 | 487 => (4, 2),
        // Another may be well.
        503 => (5, 2),
        _ => (status / 100, 1),
    }
}

/// What the caller is told for it: 503 would condemn us instead of them, and nobody cancelled what rang too long.
pub(super) fn told(status: u16, expired: bool) -> u16 {
    match status {
        503 => 500,
        487 if expired => 408,
        status => status,
    }
}

/// What the others demand as well, where a proof is demanded (RFC 3261 16.7 step 7).
pub(super) fn challenges(lasts: &[Last], chosen: usize) -> Vec<(&'static str, String)> {
    let demands = |last: &Last| matches!(last.status(), 401 | 407);
    if !lasts.get(chosen).is_some_and(demands) {
        return Vec::new();
    }
    let mut out = Vec::new();
    for (at, last) in lasts.iter().enumerate() {
        if let (true, true, Last::Response(response)) = (at != chosen, demands(last), last) {
            for name in ["WWW-Authenticate", "Proxy-Authenticate"] {
                out.extend(response.lines(name).into_iter().map(|value| (name, value)));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_no() {
        for (given, chosen) in [
            (&[486, 603][..], 603),
            (&[503, 404], 404),
            (&[302, 486], 302),
            (&[486, 407], 407),
            (&[408, 486], 486),
            (&[480, 487], 480),
            (&[503, 500], 500),
            (&[503], 503),
        ] {
            let lasts: Vec<Last> = given.iter().map(|status| Last::Silent(*status)).collect();
            assert_eq!(best(&lasts).map(|at| given[at]), Some(chosen), "{given:?}");
        }
        assert_eq!(best(&[]), None);
        assert_eq!(
            (told(503, false), told(487, true), told(487, false), told(603, true)),
            (500, 408, 487, 603)
        );
    }
}
