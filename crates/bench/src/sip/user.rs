//! A SIP user: registering, other requests, and messages of a flow.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use super::{
    link::{Link, Reply},
    parse::Message,
};
use crate::{
    Result,
    digest::{Answer, Challenge},
    env::{Account, Env, nonce},
    mark::Mark,
    rig::Sender,
    template::Template,
};

/// A user on a link.
pub struct User {
    /// The link.
    pub link: Rc<Link>,
    account: Account,
    domain: String,
    outbound: bool,
    /// The answer to the last challenge, and whether a proxy asked.
    credentials: RefCell<Option<(Answer, String, bool)>>,
}

/// What makes one request of a dialog or series differ from the next.
pub struct Request<'a> {
    /// Method.
    pub method: &'a str,
    /// Request-URI.
    pub uri: &'a str,
    /// To.
    pub to: &'a str,
    /// Call-ID.
    pub call_id: &'a str,
    /// Last CSeq used under that Call-ID.
    pub cseq: &'a Cell<u32>,
    /// More header lines.
    pub headers: &'a str,
    /// Body.
    pub body: &'a str,
}

impl User {
    /// A user who has not registered yet.
    pub fn new(env: &Env, link: Rc<Link>, account: Account) -> Rc<Self> {
        Rc::new(Self {
            link,
            account,
            domain: env.opts.sip_domain().into(),
            outbound: env.opts.outbound,
            credentials: RefCell::default(),
        })
    }

    /// A user of a partner, whose server the link is: nobody asks for passwords there.
    pub fn elsewhere(link: Rc<Link>, account: Account, domain: &str) -> Rc<Self> {
        let (domain, credentials) = (domain.into(), RefCell::default());
        Rc::new(Self { link, account, domain, outbound: false, credentials })
    }

    /// The address of record.
    pub fn aor(&self) -> String {
        format!("sip:{}@{}", self.account.user, self.domain)
    }

    /// Where the user can be reached.
    pub fn contact(&self) -> String {
        format!("<sip:{}@{};transport={}>", self.account.user, self.link.local, self.link.param)
    }

    /// Removes bindings left over from earlier runs, then registers for an hour.
    pub async fn register(&self, fresh: bool) -> Result<()> {
        let (call_id, cseq) = (nonce(), Cell::new(0));
        let uri = format!("sip:{}", self.domain);
        let aor = self.aor();
        let ask = |headers: String| {
            let (uri, aor, call_id, cseq) = (&uri, &aor, &call_id, &cseq);
            async move {
                let to = format!("<{aor}>");
                self.request(Request {
                    method: "REGISTER",
                    uri,
                    to: &to,
                    call_id,
                    cseq,
                    headers: &headers,
                    body: "",
                })
                .await
            }
        };
        if fresh {
            ask("Contact: *\r\nExpires: 0\r\n".into()).await?; // whatever the answer: there may be nothing to remove
        }
        let mut contact = format!("Contact: {};expires=3600", self.contact());
        if self.outbound {
            let id = &nonce()[..12];
            contact += &format!(";reg-id=1;+sip.instance=\"<urn:uuid:00000000-0000-4000-8000-{id}>\"");
        }
        contact += "\r\nSupported: path, outbound, gruu\r\n";
        let reply = ask(contact).await?;
        if reply.code != 200 {
            return Err(format!("REGISTER of {}: {}", self.account.user, reply.code).into());
        }
        Ok(())
    }

    /// Sends a request and returns the final response, answering a challenge on the way.
    pub async fn request(&self, r: Request<'_>) -> Result<Reply> {
        for attempt in 0.. {
            r.cseq.set(r.cseq.get() + 1);
            let (via, branch) = self.link.fresh_via();
            let auth = self.authorization(r.method, r.uri);
            let (aor, contact) = (self.aor(), self.contact());
            let contact = if matches!(r.method, "SUBSCRIBE") {
                format!("Contact: {contact}\r\n")
            } else {
                String::new()
            };
            let text = format!(
                "{method} {uri} SIP/2.0\r\n{via}Max-Forwards: 70\r\nFrom: <{aor}>;tag={tag}\r\nTo: {to}\r\n\
                 Call-ID: {call_id}\r\nCSeq: {cseq} {method}\r\n{contact}{auth}{headers}Content-Length: {len}\r\n\r\n{body}",
                method = r.method,
                uri = r.uri,
                tag = &r.call_id[..r.call_id.len().min(12)],
                to = r.to,
                call_id = r.call_id,
                cseq = r.cseq.get(),
                headers = r.headers,
                len = r.body.len(),
                body = r.body,
            );
            let reply = self.link.transact(&branch, text.as_bytes()).await?;
            let again = matches!(reply.code, 401 | 407)
                && attempt < 3
                && Message::parse(&reply.text).is_some_and(|m| self.challenged(&m));
            if !again {
                return Ok(reply);
            }
        }
        unreachable!("the loop returns")
    }

    /// Takes the strongest challenge of a response; false if there is none that can be met.
    pub fn challenged(&self, m: &Message<'_>) -> bool {
        let proxy = m.code() == Some(407);
        let name = if proxy { "proxy-authenticate" } else { "www-authenticate" };
        let Some(challenge) = Challenge::best(m.headers(name)) else { return false };
        let mut held = self.credentials.borrow_mut();
        if held
            .as_ref()
            .is_some_and(|(answer, _, was_proxy)| answer.is_for(&challenge) && *was_proxy == proxy)
        {
            return true; // keep counting the uses of that nonce
        }
        let answer = Answer::new(challenge, &self.account.user, &self.account.password, &nonce());
        let header = if proxy { "Proxy-Authorization: " } else { "Authorization: " };
        *held = Some((answer, header.into(), proxy));
        true
    }

    /// The credentials' header line, empty as long as nobody has asked.
    fn authorization(&self, method: &str, uri: &str) -> String {
        match self.credentials.borrow_mut().as_mut() {
            Some((answer, header, _)) => format!("{header}{}\r\n", answer.header(method, uri)),
            None => String::new(),
        }
    }
}

/// Sends the messages of a flow.
pub struct MessageSender {
    user: Rc<User>,
    template: Template,
    uri: String,
}

impl MessageSender {
    /// A MESSAGE of `text` bytes of text to `uri`.
    pub fn new(env: &Env, user: Rc<User>, uri: String, flow: u32, text: usize) -> Rc<Self> {
        let run = env.run;
        let text = text.max(crate::mark::MARK_LEN);
        let template = Template::new(&format!(
            "MESSAGE {uri} SIP/2.0\r\n\
             Via: SIP/2.0/{via} {local};branch=z9hG4bKrb.{run:08x}.{flow:08x}.{{seq}}.{{try}};rport{flags}\r\n\
             Max-Forwards: 70\r\nFrom: <{aor}>;tag=rb{flow:08x}\r\nTo: <{uri}>\r\n\
             Call-ID: rb.{run:08x}.{flow:08x}.{{seq}}\r\nCSeq: {{cseq}} MESSAGE\r\n{{insert}}\
             Content-Type: text/plain\r\nContent-Length: {text}\r\n\r\n{{mark}}{pad}",
            via = user.link.via,
            flags = user.link.via_flags,
            local = user.link.local,
            aor = user.aor(),
            pad = crate::filler(text - crate::mark::MARK_LEN),
        ));
        Rc::new(Self { user, template, uri })
    }
}

impl Sender for MessageSender {
    fn emit(&self, mark: &Mark, attempt: u8) -> Option<Box<[u8]>> {
        let auth = self.user.authorization("MESSAGE", &self.uri);
        let lossy = self.user.link.is_lossy();
        self.user.link.queue(|out| {
            let start = out.len();
            self.template.render(mark, attempt, auth.as_bytes(), out);
            lossy.then(|| out[start..].into())
        })
    }

    fn flush(&self) {
        self.user.link.flush();
    }

    fn is_answered(&self) -> bool {
        true
    }

    fn resend(&self, copy: &[u8]) {
        self.user.link.queue(|out| out.extend_from_slice(copy));
    }

    fn challenged(&self, response: &Message<'_>) -> bool {
        self.user.challenged(response)
    }
}
