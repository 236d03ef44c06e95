use mail_builder::MessageBuilder;

/// A mail with files (RFC 5322), for [`crate::Mailer::send`].
#[derive(Debug, Clone)]
pub struct Letter<'a> {
    /// The sender.
    pub from: &'a str,
    /// For whom.
    pub to: &'a [String],
    /// What it is about.
    pub subject: &'a str,
    /// What it says.
    pub text: &'a str,
    /// What is with it: name, media type, bytes.
    pub files: Vec<(String, &'static str, Vec<u8>)>,
    /// Its name, which is the same when it is sent again.
    pub id: &'a str,
    /// When it was written, Unix seconds.
    pub at: i64,
}

impl Letter<'_> {
    /// As it goes over the wire.
    ///
    /// # Errors
    /// In words, what cannot be written.
    pub fn written(self) -> Result<Vec<u8>, String> {
        let to: Vec<&str> = self.to.iter().map(String::as_str).collect();
        let mut mail = MessageBuilder::new()
            .from(self.from)
            .to(to)
            .subject(self.subject)
            .message_id(self.id)
            .date(self.at)
            .text_body(self.text);
        for (name, mime, bytes) in self.files {
            mail = mail.attachment(mime, name, bytes);
        }
        mail.write_to_vec().map_err(|e| e.to_string())
    }
}
