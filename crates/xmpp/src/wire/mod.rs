//! Bytes to typed units and back: stream scanner, stanza index, element tree, writer.
//!
//! Nothing here knows what a session is. The scanner validates every byte once; everything behind it may then
//! copy ranges of those bytes into other streams without looking at them again.

mod class;
mod condition;
mod element;
mod header;
mod limits;
mod names;
mod ns;
mod part;
mod patch;
mod scan;
mod span;
mod stanza;
mod tag;
mod text;
mod write;

pub use condition::Condition;
pub use element::{Element, Tree};
pub use header::Header;
pub use limits::Limits;
pub use names::{Binding, Scope};
pub use ns::*;
pub use part::{Attr, Child};
pub use patch::{with_attr, with_children};
pub use scan::{Item, Scanner};
pub use span::Span;
pub(crate) use stanza::UNFIT;
pub use stanza::{ChildRef, Kind, Stamp, Stanza};
pub use tag::Attrs;
pub use text::{content, unescape};
pub use write::{Writer, escape_attr, escape_text};
