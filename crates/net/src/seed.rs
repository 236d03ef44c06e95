use connector::Seed;
use std::io;

/// Chance for a new machine, from the operating system.
pub(crate) fn seed() -> io::Result<Seed> {
    let mut seed = [0u8; 32];
    getrandom::fill(&mut seed).map_err(io::Error::other)?;
    Ok(seed)
}
