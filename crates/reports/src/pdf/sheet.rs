//! Sheets of paper, written from top to bottom.

use super::face;
use pdf_writer::{Content, Finish, Name, Pdf, Rect, Ref, Str, TextStr};

/// A4, in points.
const PAPER: (f32, f32) = (595.0, 842.0);
const MARGIN: f32 = 50.0;
/// How wide what is written is.
pub(super) const WIDTH: f32 = PAPER.0 - 2.0 * MARGIN;

const PLAIN: Name<'static> = Name(b"F1");
const BOLD: Name<'static> = Name(b"F2");

/// A colour.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ink {
    Text,
    Soft,
    Fill,
    Line,
}

impl Ink {
    fn rgb(self) -> [f32; 3] {
        match self {
            Self::Text => [0.106, 0.141, 0.188],
            Self::Soft => [0.361, 0.42, 0.478],
            Self::Fill => [0.184, 0.435, 0.561],
            Self::Line => [0.875, 0.898, 0.918],
        }
    }
}

/// The sheets so far, and where on the last one we are.
pub(super) struct Sheets {
    done: Vec<Content>,
    last: Content,
    y: f32,
    foot: String,
}

impl Sheets {
    pub fn new(foot: &str) -> Self {
        Self { done: Vec::new(), last: Content::new(), y: PAPER.1 - MARGIN, foot: foot.to_owned() }
    }

    pub fn down(&mut self, points: f32) {
        self.y -= points;
    }

    pub fn is_full(&self, points: f32) -> bool {
        self.y - points < MARGIN
    }

    /// Begins a new sheet where there is not so much room.
    pub fn need(&mut self, points: f32) {
        if self.is_full(points) {
            self.turn();
        }
    }

    pub fn turn(&mut self) {
        self.done.push(std::mem::replace(&mut self.last, Content::new()));
        self.y = PAPER.1 - MARGIN;
    }

    pub fn text(&mut self, x: f32, size: f32, bold: bool, ink: Ink, text: &str) {
        self.text_at(x, 0.0, size, bold, ink, text);
    }

    /// So many points above where we are.
    pub fn text_at(&mut self, x: f32, up: f32, size: f32, bold: bool, ink: Ink, text: &str) {
        let [r, g, b] = ink.rgb();
        self.last.set_fill_rgb(r, g, b);
        self.last.begin_text().set_font(if bold { BOLD } else { PLAIN }, size);
        self.last.next_line(MARGIN + x, self.y + up).show(Str(&face::encoded(text))).end_text();
    }

    /// A small text that ends there.
    pub fn right(&mut self, x: f32, up: f32, size: f32, text: &str) {
        self.text_at(x - face::width(text, size), up, size, false, Ink::Soft, text);
    }

    /// A small text around there.
    pub fn middle(&mut self, x: f32, up: f32, size: f32, text: &str) {
        self.text_at(x - face::width(text, size) / 2.0, up, size, false, Ink::Soft, text);
    }

    pub fn line(&mut self, from: f32, to: f32, up: f32) {
        let [r, g, b] = Ink::Line.rgb();
        self.last.set_stroke_rgb(r, g, b).set_line_width(0.5);
        self.last.move_to(MARGIN + from, self.y + up).line_to(MARGIN + to, self.y + up).stroke();
    }

    pub fn block(&mut self, x: f32, up: f32, wide: f32, high: f32) {
        let [r, g, b] = Ink::Fill.rgb();
        self.last.set_fill_rgb(r, g, b);
        self.last.rect(MARGIN + x, self.y + up, wide, high).fill_nonzero();
    }

    /// The file.
    pub fn finish(mut self, title: &str) -> Vec<u8> {
        self.turn();
        let count = self.done.len();
        for (at, sheet) in std::mem::take(&mut self.done).into_iter().enumerate() {
            self.last = sheet;
            self.y = MARGIN - 24.0;
            let foot = self.foot.clone();
            self.text(0.0, 7.0, false, Ink::Soft, &foot);
            self.right(WIDTH, 0.0, 7.0, &format!("{} of {count}", at + 1));
            self.done.push(std::mem::replace(&mut self.last, Content::new()));
        }
        let mut pdf = Pdf::new();
        let [catalog, pages, plain, bold, info] = [1, 2, 3, 4, 5].map(Ref::new);
        pdf.catalog(catalog).pages(pages);
        pdf.document_info(info).title(TextStr(title)).creator(TextStr("Rialto"));
        for (id, face) in [(plain, &b"Helvetica"[..]), (bold, &b"Helvetica-Bold"[..])] {
            pdf.type1_font(id).base_font(Name(face)).encoding_predefined(Name(b"WinAnsiEncoding"));
        }
        let page = |at: usize| Ref::new(6 + 2 * at as i32);
        pdf.pages(pages).kids((0..count).map(page)).count(count as i32);
        for (at, content) in self.done.into_iter().enumerate() {
            let written = Ref::new(7 + 2 * at as i32);
            let mut sheet = pdf.page(page(at));
            sheet.parent(pages).media_box(Rect::new(0.0, 0.0, PAPER.0, PAPER.1)).contents(written);
            sheet.resources().fonts().pair(PLAIN, plain).pair(BOLD, bold);
            sheet.finish();
            pdf.stream(written, &content.finish());
        }
        pdf.finish()
    }
}
