//! What texts say: which there are, and what is looked for in them.

mod detect;
mod disguise;
mod files;
mod fold;
mod heads;
mod mask;
mod numbers;
mod shown;
mod texts;

pub(crate) use detect::{Builder, Detectors, Found};
pub(crate) use files::{KINDS, kind, kinds_of};
pub use fold::{clean, fold};
pub(crate) use mask::masked;
pub use shown::shown;
pub(crate) use texts::{decode, end_of_tag};
pub use texts::{markup, texts};
