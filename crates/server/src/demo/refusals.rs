//! The acts in which the server says no, and why.

use super::print::Tone;
use super::script::{SIP, Script, TEXT, XMPP, address, hold};
use super::sip::{Request, Sip};
use super::xmpp::{Account, Login, Xmpp};
use crate::failure::Failure;

impl Script<'_> {
    /// Addressees that do not exist, names that are not one's own, passwords that are wrong.
    pub(super) async fn refuse(&mut self) -> Result<(), Failure> {
        self.nobody().await?;
        self.nowhere().await?;
        self.forged().await?;
        self.wrong_passwords().await
    }

    async fn nobody(&mut self) -> Result<(), Failure> {
        let (romeo, nobody) = (address(&self.stage.romeo), format!("nobody@{}", self.stage.romeo.domain));
        let text = "Is anybody there?";
        let request =
            Request { method: "MESSAGE", to: &nobody, headers: &[TEXT], body: text, ..Request::default() };
        let answer = self.romeo.request(&request).await?;
        hold(matches!(answer.status(), Some(404 | 604)), "404 or 604", answer.outcome())?;
        let (seq, reason) = self.book.row("message", &romeo, &nobody).await?;
        let reason = reason.unwrap_or_default();
        hold(reason == "not-found", "not-found in the journal", &reason)?;
        let verdict = format!("refused, {reason}: {}", answer.outcome());
        self.line(["romeo", "nobody", SIP], format!("\"{text}\""), &verdict, Tone::No, Some(seq));
        Ok(())
    }

    async fn nowhere(&mut self) -> Result<(), Failure> {
        let (juliet, paris) = (address(&self.stage.juliet), "paris@elsewhere.example");
        let text = "Happily met?";
        self.juliet
            .send(&format!("<message to='{paris}' type='chat' id='paris'><body>{text}</body></message>"))
            .await?;
        let error = |e: &super::element::Element| e.attr("id") == "paris" && e.attr("type") == "error";
        let seen = self.juliet.expect("an error for the message to elsewhere.example", error).await?;
        let condition = seen.child("error").and_then(|e| e.children.first()).map_or("", |c| &c.name);
        hold(condition == "remote-server-not-found", "remote-server-not-found", condition)?;
        let (seq, reason) = self.book.row("message", &juliet, paris).await?;
        let reason = reason.unwrap_or_default();
        hold(reason == "remote-not-found", "remote-not-found in the journal", &reason)?;
        let words = seen.child("error").map_or("", |e| e.text_of("text"));
        let what = format!("\"{text}\" to {paris}");
        self.line(
            ["juliet", "paris", XMPP],
            what,
            &format!("refused, {reason}: {words}"),
            Tone::No,
            Some(seq),
        );
        Ok(())
    }

    async fn forged(&mut self) -> Result<(), Failure> {
        let (juliet, romeo) = (address(&self.stage.juliet), address(&self.stage.romeo));
        let request = Request {
            method: "MESSAGE",
            to: &romeo,
            from: &juliet,
            headers: &[TEXT],
            body: "I love thee not.",
            ..Request::default()
        };
        let answer = self.romeo.request(&request).await?;
        hold(answer.status() == Some(403), "403 for a forged From", answer.outcome())?;
        let verdict = format!("refused at the door: {}", answer.outcome());
        let what = "writes under her name, with his own proof".to_owned();
        self.line(["romeo", "server", SIP], what, &verdict, Tone::No, None);
        Ok(())
    }

    async fn wrong_passwords(&mut self) -> Result<(), Failure> {
        let guess = |account: &Account| Account { password: "wherefore-art-thou".into(), ..account.clone() };
        match Xmpp::log_in(self.stage.xmpp, true, &self.stage.tls, &guess(&self.stage.juliet)).await? {
            Login::Refused(why) => {
                hold(why == "not-authorized", "not-authorized", &why)?;
                let verdict = format!("refused at the door: {why}");
                let what = "tries juliet's account with a wrong password".to_owned();
                self.line(["tybalt", "server", XMPP], what, &verdict, Tone::No, None);
            }
            Login::In(_) => {
                return Err(Failure::new("expected a wrong password to be refused, but it was let in"));
            }
        }
        let mut tybalt = Sip::connect(self.stage.sips, &self.stage.tls, &guess(&self.stage.romeo)).await?;
        let answer = tybalt.register(600).await?;
        hold(
            matches!(answer.status(), Some(401 | 403)),
            "401 or 403 for a wrong password",
            answer.outcome(),
        )?;
        let verdict = format!("refused at the door: {}", answer.outcome());
        let what = "tries romeo's account with a wrong password".to_owned();
        self.line(["tybalt", "server", SIP], what, &verdict, Tone::No, None);
        Ok(())
    }
}
