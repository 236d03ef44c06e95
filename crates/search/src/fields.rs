//! What the index knows of a row.

use tantivy::schema::{
    FAST, Field, INDEXED, IndexRecordOption, STORED, STRING, Schema, TextFieldIndexing, TextOptions,
};

/// The fields.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields {
    /// The row's number.
    pub seq: Field,
    /// When, Unix milliseconds.
    pub at: Field,
    /// The conversation's number.
    pub conversation: Field,
    /// `message`, `receipt`... `outcomes`, `admin`.
    pub kind: Field,
    /// The sender's bare address, and its domain.
    pub from: Field,
    /// The addressee's bare address, and its domain.
    pub to: Field,
    /// The dialect it came by.
    pub dialect: Field,
    /// `passed`, `refused`, `held`, `changed`, `released`.
    pub verdict: Field,
    /// Rules that had their say.
    pub rule: Field,
    /// What there is in it: `file`, `encrypted`, `loss`.
    pub has: Field,
    /// Names of the message: the envelope's, and the one its sender gave it.
    pub id: Field,
    /// Earlier rows of which it says how they ended, or which it releases.
    pub about: Field,
    /// Words.
    pub text: Field,
    /// Is there content that can be destroyed? 1 or nothing.
    pub content: Field,
}

/// The schema with its fields.
pub(crate) fn schema() -> (Schema, Fields) {
    let mut make = Schema::builder();
    let words = TextFieldIndexing::default()
        .set_tokenizer(crate::words::NAME)
        .set_fieldnorms(false)
        .set_index_option(IndexRecordOption::WithFreqsAndPositions);
    let fields = Fields {
        seq: make.add_u64_field("seq", FAST | INDEXED | STORED),
        at: make.add_u64_field("at", FAST),
        conversation: make.add_u64_field("conversation", INDEXED),
        kind: make.add_text_field("kind", STRING),
        from: make.add_text_field("from", STRING),
        to: make.add_text_field("to", STRING),
        dialect: make.add_text_field("dialect", STRING),
        verdict: make.add_text_field("verdict", STRING),
        rule: make.add_text_field("rule", STRING),
        has: make.add_text_field("has", STRING),
        id: make.add_text_field("id", STRING),
        about: make.add_u64_field("about", INDEXED),
        text: make.add_text_field("text", TextOptions::default().set_indexing_options(words)),
        content: make.add_u64_field("content", INDEXED),
    };
    (make.build(), fields)
}
