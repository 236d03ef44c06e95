//! Usage reports: who used the server how much, with whom, and what became of it.
//!
//! One way: journal rows -> [`Counter`] -> [`Day`] -> [`Books`] (which keeps closed days) -> [`Report`], which is tables and
//! charts without a form -> HTML, PDF, CSV or JSON. Only heads of rows are read, so content that retention has destroyed
//! changes no figure.

mod books;
mod chart;
mod counter;
mod csv;
mod day;
mod form;
mod html;
mod pdf;
mod period;
mod report;
mod sections;
mod spread;
mod text;

pub use books::{Books, BooksError, Ledger};
pub use counter::Counter;
pub use csv::csv;
pub use day::{Abroad, Day, Person, Tried};
pub use form::Form;
pub use html::html;
pub use pdf::pdf;
pub use period::{Every, Period};
pub use report::{Cell, Chart, Column, Figure, Report, Section};
pub use sections::{Naming, Options, report};
pub use spread::Spread;
pub use text::text;
