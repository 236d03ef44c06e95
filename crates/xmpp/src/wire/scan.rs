//! The push scanner: bytes of an XML stream in; stream header, complete first-level elements and stream end out.
//!
//! Every byte is checked once against XML 1.0, the namespace rules and the XMPP restrictions (RFC 6120 sections
//! 11.1 to 11.6). State survives between feeds, so any chunking gives the same result without looking at a byte
//! again; nothing recurses; no tree is built. Bytes are kept only while an element is incomplete, and an element
//! that arrives whole is handed out in place.

use super::Condition;
use super::class::{self, Stop, is_space};
use super::header::{self, Header};
use super::limits::Limits;
use super::names::{Binding, Bindings, Scope};
use super::part::{Attr, Child};
use super::span::Span;
use super::stanza::Stanza;
use super::tag;

/// One thing found on the stream.
#[derive(Debug)]
pub enum Item<'a> {
    /// The stream header (RFC 6120 section 4.7).
    Open(Header),
    /// A complete first-level element.
    Element(Stanza<'a>),
    /// The closing tag of the stream (RFC 6120 section 4.4).
    Close,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing yet: an XML declaration may come.
    Start,
    /// The declaration was there.
    Declared,
    /// Between and inside first-level elements.
    Stream,
    Closed,
    Failed(Condition),
}

enum Kind {
    Declaration,
    Open(Header),
    Element,
    Close,
}

#[derive(Clone, Copy, Debug)]
struct Frame {
    /// Qualified name, as the end tag must repeat it.
    name: Span,
    /// Bindings in force before this element.
    bindings: usize,
}

/// The index of the element being scanned; its vectors are reused from one element to the next.
#[derive(Debug, Default)]
struct Index {
    name: Span,
    local: Span,
    ns: Option<Scope>,
    tag_end: u32,
    inner_end: u32,
    used: u32,
    attrs: Vec<Attr>,
    children: Vec<Child>,
}

#[derive(Debug)]
struct Core {
    limits: Limits,
    phase: Phase,
    /// No byte of the next item has been seen.
    fresh: bool,
    /// Next byte to look at, counted from the start of the current item.
    at: usize,
    /// How far the search for the end of the current tag has come; 0: not searching.
    seek: usize,
    quote: u8,
    in_cdata: bool,
    /// The element declares a namespace that is no URI.
    unfit: bool,
    stack: Vec<Frame>,
    bindings: Bindings,
    scratch: Vec<Attr>,
    index: Index,
    header: Vec<Binding>,
    root: Box<[u8]>,
}

/// The scanner of one stream.
#[derive(Debug)]
pub struct Scanner {
    core: Core,
    /// Bytes of an incomplete element, and whatever came behind a complete one in the same feed.
    held: Vec<u8>,
    /// How much of `held` has been handed out.
    start: usize,
}

impl Scanner {
    /// A scanner that expects a stream header.
    pub fn new(limits: Limits) -> Scanner {
        let core = Core {
            limits,
            phase: Phase::Start,
            fresh: true,
            at: 0,
            seek: 0,
            quote: 0,
            in_cdata: false,
            unfit: false,
            stack: Vec::new(),
            bindings: Bindings::default(),
            scratch: Vec::new(),
            index: Index::default(),
            header: Vec::new(),
            root: Box::default(),
        };
        Scanner { core, held: Vec::new(), start: 0 }
    }

    /// Expects a new stream header on the same connection (RFC 6120 section 4.3.3). Bytes that have already
    /// arrived are kept: after SASL a client may have sent its header early.
    pub fn restart(&mut self, limits: Limits) {
        self.core.begin();
        self.core.limits = limits;
        self.core.phase = Phase::Start;
        self.core.header.clear();
    }

    /// What an element may cost from now on.
    pub fn allow(&mut self, limits: Limits) {
        self.core.limits = limits;
    }

    /// Forgets every byte that has arrived but was not handed out: what was sent before a TLS handshake must
    /// not be read after it.
    pub fn forget(&mut self) {
        self.held = Vec::new();
        self.start = 0;
        self.core.begin();
    }

    /// Gives memory back while a connection is idle; it grows again when needed.
    pub fn relax(&mut self) {
        if self.start == self.held.len() {
            self.held = Vec::new();
            self.start = 0;
            if self.core.fresh {
                self.core.begin();
                self.core.stack = Vec::new();
                self.core.bindings = Bindings::default();
                self.core.scratch = Vec::new();
                self.core.index = Index::default();
            }
        }
    }

    /// Bytes held for an element that is not complete.
    pub fn held(&self) -> usize {
        self.held.len() - self.start
    }

    /// The next item. Consumes from `input`; `Ok(None)` means that all of it was consumed and more is needed.
    /// After an error every call gives the same error.
    pub fn next<'a, 'i: 'a>(&'a mut self, input: &mut &'i [u8]) -> Result<Option<Item<'a>>, Condition> {
        let Scanner { core, held, start } = self;
        if *start == held.len() && !held.is_empty() {
            *held = Vec::new();
            *start = 0;
        }
        let (lead, len, kind) = if held.is_empty() {
            let found = core.scan(input)?;
            let Some((lead, len, kind)) = found.item else {
                held.extend_from_slice(&input[found.skipped..]);
                *input = &[];
                return Ok(None);
            };
            let bytes = &input[lead..lead + len];
            *input = &input[lead + len..];
            return Ok(Some(core.hand_out(bytes, kind)));
        } else {
            if !input.is_empty() {
                if *start > 0 {
                    held.drain(..*start);
                    *start = 0;
                }
                held.extend_from_slice(input);
                *input = &[];
            }
            let found = core.scan(&held[*start..])?;
            let Some(item) = found.item else {
                *start += found.skipped;
                if *start == held.len() {
                    *held = Vec::new();
                    *start = 0;
                }
                return Ok(None);
            };
            item
        };
        let from = *start + lead;
        *start = from + len;
        Ok(Some(core.hand_out(&held[from..from + len], kind)))
    }
}

struct Found {
    /// White space (and an XML declaration) in front that need not be kept.
    skipped: usize,
    /// Start, length and kind of what was found.
    item: Option<(usize, usize, Kind)>,
}

impl Core {
    fn begin(&mut self) {
        self.fresh = true;
        self.at = 0;
        self.seek = 0;
        self.quote = 0;
        self.in_cdata = false;
        self.stack.clear();
        self.bindings.truncate(0);
        self.unfit = false;
        self.index.children.clear();
        self.index.attrs.clear();
        self.index.used = 0;
    }

    fn hand_out<'a>(&'a mut self, bytes: &'a [u8], kind: Kind) -> Item<'a> {
        match kind {
            Kind::Open(header) => Item::Open(header),
            Kind::Close | Kind::Declaration => Item::Close,
            Kind::Element => {
                let index = &self.index;
                Item::Element(Stanza {
                    bytes,
                    name: index.name,
                    local: index.local,
                    ns: index.ns.unwrap_or(Scope::None),
                    tag_end: index.tag_end,
                    inner_end: index.inner_end,
                    attrs: &index.attrs,
                    children: &index.children,
                    header: &self.header,
                    used: index.used,
                    unfit: self.unfit,
                })
            }
        }
    }

    /// Looks at `data`, which begins where the current item begins.
    fn scan(&mut self, data: &[u8]) -> Result<Found, Condition> {
        if let Phase::Failed(condition) = self.phase {
            return Err(condition);
        }
        let result = self.run(data);
        if let Err(condition) = result {
            self.phase = Phase::Failed(condition);
        }
        result
    }

    fn run(&mut self, data: &[u8]) -> Result<Found, Condition> {
        let mut lead = 0;
        loop {
            if self.fresh {
                // White space between elements is a keepalive (RFC 6120 section 4.6.1): it costs nothing.
                while data.get(lead).is_some_and(|b| is_space(*b)) {
                    lead += 1;
                }
                if lead == data.len() {
                    return Ok(Found { skipped: lead, item: None });
                }
                self.begin();
                self.fresh = false;
            }
            let whole = &data[lead..];
            let win = &whole[..whole.len().min(self.limits.bytes)];
            match self.item(win)? {
                None if whole.len() >= self.limits.bytes => return Err(Condition::PolicyViolation),
                None => return Ok(Found { skipped: lead, item: None }),
                Some((len, Kind::Declaration)) => {
                    lead += len;
                    self.fresh = true;
                }
                Some((len, kind)) => {
                    self.fresh = true;
                    return Ok(Found { skipped: lead, item: Some((lead, len, kind)) });
                }
            }
        }
    }

    /// Goes on with the item at the start of `win`; its length when it is complete.
    fn item(&mut self, win: &[u8]) -> Result<Option<(usize, Kind)>, Condition> {
        match self.phase {
            Phase::Start | Phase::Declared => self.prolog(win),
            Phase::Stream => self.element(win),
            // Nothing may follow the end of the stream.
            Phase::Closed => Err(Condition::NotWellFormed),
            Phase::Failed(condition) => Err(condition),
        }
    }

    fn prolog(&mut self, win: &[u8]) -> Result<Option<(usize, Kind)>, Condition> {
        if win[0] != b'<' {
            // UTF-16 and UTF-32 show themselves by zero bytes or a byte order mark (RFC 6120 section 11.6).
            let foreign = win[0] == 0 || win[0] == 0xfe || win[0] == 0xff;
            return Err(if foreign { Condition::UnsupportedEncoding } else { Condition::NotWellFormed });
        }
        match win.get(1) {
            None => {
                self.at = 1;
                Ok(None)
            }
            Some(0) => Err(Condition::UnsupportedEncoding),
            Some(b'?') if self.phase == Phase::Start => {
                let from = self.at.max(2);
                match win[from..].windows(2).position(|w| w == b"?>") {
                    Some(i) => {
                        header::declaration(&win[..from + i + 2])?;
                        self.phase = Phase::Declared;
                        Ok(Some((from + i + 2, Kind::Declaration)))
                    }
                    None => {
                        self.at = (win.len() - 1).max(2);
                        Ok(None)
                    }
                }
            }
            Some(b'?' | b'!') => Err(Condition::RestrictedXml),
            Some(b'/') => Err(Condition::NotWellFormed),
            Some(_) => {
                self.at = self.at.max(1);
                let Some(end) = self.tag_end(win, 0)? else { return Ok(None) };
                let mut used = 0;
                let opened = tag::open(
                    win,
                    (0, end),
                    &self.limits,
                    &[],
                    &mut self.bindings,
                    &mut self.scratch,
                    &mut used,
                )?;
                let (header, bindings) = header::read(win, &opened, &self.scratch)?;
                self.root = opened.name.of(win).into();
                if opened.unfit {
                    return Err(Condition::PolicyViolation);
                }
                self.header = bindings;
                self.bindings.truncate(0);
                self.phase = Phase::Stream;
                Ok(Some((end + 1, Kind::Open(header))))
            }
        }
    }

    /// Finds the `>` of the start tag at `from`, remembering how far it has looked.
    #[inline]
    fn tag_end(&mut self, win: &[u8], from: usize) -> Result<Option<usize>, Condition> {
        let mut i = if self.seek == 0 { from + 1 } else { self.seek };
        let mut quote = self.quote;
        loop {
            if quote != 0 {
                i = class::skip(win, i, quote);
                match win.get(i) {
                    None => break,
                    Some(b'<') => return Err(Condition::NotWellFormed),
                    Some(&b) if b == quote => quote = 0,
                    Some(_) => {}
                }
                i += 1;
                continue;
            }
            match win.get(i) {
                None => break,
                Some(b'>') => {
                    self.seek = 0;
                    self.quote = 0;
                    return Ok(Some(i));
                }
                Some(b'<') => return Err(Condition::NotWellFormed),
                Some(&b @ (b'"' | b'\'')) => quote = b,
                Some(_) => {}
            }
            i += 1;
        }
        self.seek = i;
        self.quote = quote;
        Ok(None)
    }

    fn element(&mut self, win: &[u8]) -> Result<Option<(usize, Kind)>, Condition> {
        let mut at = self.at;
        let done = loop {
            if self.in_cdata {
                let (stop, why) = class::cdata(win, at)?;
                at = stop;
                match why {
                    Stop::More => break None,
                    Stop::Tag => {
                        at += 3;
                        self.in_cdata = false;
                    }
                }
            }
            if !self.stack.is_empty() {
                let (stop, why) = class::text(win, at)?;
                at = stop;
                if matches!(why, Stop::More) {
                    break None;
                }
            } else if win.get(at).is_some_and(|b| *b != b'<') {
                // Character data between first-level elements.
                return Err(Condition::BadFormat);
            }
            match win.get(at + 1) {
                None => break None,
                Some(b'/') => match self.end_tag(win, at)? {
                    None => break None,
                    Some((next, done)) => {
                        at = next;
                        if let Some(kind) = done {
                            break Some(kind);
                        }
                    }
                },
                Some(b'?') => return Err(Condition::RestrictedXml),
                Some(b'!') => match cdata_opens(&win[at..])? {
                    false => break None,
                    true if self.stack.is_empty() => return Err(Condition::BadFormat),
                    true => {
                        at += 9;
                        self.in_cdata = true;
                    }
                },
                Some(_) => {
                    let Some(end) = self.tag_end(win, at)? else { break None };
                    let complete = self.start_tag(win, at, end)?;
                    at = end + 1;
                    if complete {
                        break Some(Kind::Element);
                    }
                }
            }
        };
        self.at = at;
        Ok(done.map(|kind| (at, kind)))
    }

    /// True: this tag completes a first-level element.
    #[inline]
    fn start_tag(&mut self, win: &[u8], at: usize, end: usize) -> Result<bool, Condition> {
        let depth = self.stack.len();
        if depth >= self.limits.depth {
            return Err(Condition::PolicyViolation);
        }
        let before = self.bindings.len();
        let attrs = if depth == 0 { &mut self.index.attrs } else { &mut self.scratch };
        let opened = tag::open(
            win,
            (at, end),
            &self.limits,
            &self.header,
            &mut self.bindings,
            attrs,
            &mut self.index.used,
        )?;
        self.unfit |= opened.unfit;
        match depth {
            0 => {
                self.index.name = opened.name;
                self.index.local = opened.local;
                self.index.ns = Some(opened.ns);
                self.index.tag_end = end as u32 + 1;
                self.index.inner_end = end as u32 + 1;
            }
            1 => {
                if self.index.children.len() >= self.limits.children {
                    return Err(Condition::PolicyViolation);
                }
                self.index.children.push(Child {
                    whole: Span::new(at, end + 1),
                    inner: Span::new(end + 1, end + 1),
                    name: opened.local,
                    ns: opened.ns,
                });
            }
            _ => {}
        }
        if opened.empty {
            self.bindings.truncate(before);
            return Ok(depth == 0);
        }
        self.stack.push(Frame { name: opened.name, bindings: before });
        Ok(false)
    }

    /// Where the end tag at `at` ends, and what it completes. `None`: not all of it has arrived.
    #[inline]
    fn end_tag(&mut self, win: &[u8], at: usize) -> Result<Option<(usize, Option<Kind>)>, Condition> {
        let name = match self.stack.last() {
            Some(frame) => frame.name.of(win),
            None => &self.root,
        };
        let rest = &win[at + 2..];
        let known = rest.len().min(name.len());
        if rest[..known] != name[..known] {
            return Err(Condition::NotWellFormed);
        }
        let mut i = known;
        if known == name.len() {
            while rest.get(i).is_some_and(|b| is_space(*b)) {
                i += 1;
            }
            match rest.get(i) {
                Some(b'>') => {}
                Some(_) => return Err(Condition::NotWellFormed),
                None => return Ok(None),
            }
        } else {
            return Ok(None);
        }
        let next = at + 2 + i + 1;
        let Some(frame) = self.stack.pop() else {
            self.phase = Phase::Closed;
            return Ok(Some((next, Some(Kind::Close))));
        };
        self.bindings.truncate(frame.bindings);
        match self.stack.len() {
            0 => {
                self.index.inner_end = at as u32;
                return Ok(Some((next, Some(Kind::Element))));
            }
            1 => {
                if let Some(child) = self.index.children.last_mut() {
                    child.inner.len = at as u32 - child.inner.at;
                    child.whole.len = next as u32 - child.whole.at;
                }
            }
            _ => {}
        }
        Ok(Some((next, None)))
    }
}

/// Does a CDATA section begin here? `Ok(false)`: it may, but not all of the opening has arrived.
fn cdata_opens(win: &[u8]) -> Result<bool, Condition> {
    const OPEN: &[u8] = b"<![CDATA[";
    let known = win.len().min(OPEN.len());
    if win[..known] != OPEN[..known] {
        return Err(Condition::RestrictedXml);
    }
    Ok(known == OPEN.len())
}
