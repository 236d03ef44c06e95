//! How much may pass in a time: the one mechanism behind every limit of a rate.
//!
//! The generic cell rate algorithm (ITU-T I.371): of each one who is measured only the time is kept at which their allowance
//! would be whole again. Pure: the time comes from outside.

mod dial;
mod many;
mod one;
mod rate;

pub use dial::Dial;
pub use many::Meters;
pub use one::Meter;
pub use rate::Rate;
