//! SEARCH from its typed keys.

use super::encoder::Encoder;
use crate::imap::command::{Search, SearchKey, SearchReturn, Sort, SortBy, Thread, Threading};

/// CHARSET is given exactly when a string needs it: some hosts know US-ASCII alone.
pub(super) fn search(line: Encoder, search: &Search, esearch: bool) -> Encoder {
    let mut line = line;
    if let Some(ret) = search.ret.filter(|_| esearch) {
        // What is kept must be known whole, and is kept here.
        let ret = if ret.save { SearchReturn { all: true, ..SearchReturn::default() } } else { ret };
        let options = [(ret.min, "MIN"), (ret.max, "MAX"), (ret.all, "ALL"), (ret.count, "COUNT")];
        let names: Vec<&str> = options.iter().filter(|(on, _)| *on).map(|(_, name)| *name).collect();
        line = line.word(format_args!("RETURN ({})", names.join(" ")));
    }
    if !search.keys.iter().all(is_ascii) {
        line = line.word("CHARSET UTF-8");
    }
    search.keys.iter().fold(line, |line, key| self::key(line.raw(" "), key))
}

/// SORT; the charset is the client's, and its strings are of it.
pub(super) fn sort(line: Encoder, sort: &Sort) -> Encoder {
    let name = |by: SortBy| match by {
        SortBy::Arrival => "ARRIVAL",
        SortBy::Cc => "CC",
        SortBy::Date => "DATE",
        SortBy::DisplayFrom => "DISPLAYFROM",
        SortBy::DisplayTo => "DISPLAYTO",
        SortBy::From => "FROM",
        SortBy::Size => "SIZE",
        SortBy::Subject => "SUBJECT",
        SortBy::To => "TO",
    };
    let reverse = |reverse: bool| if reverse { "REVERSE " } else { "" };
    let keys: Vec<String> =
        sort.keys.iter().map(|key| format!("{}{}", reverse(key.reverse), name(key.by))).collect();
    in_charset(line.word(format_args!("({})", keys.join(" "))), &sort.search)
}

/// THREAD.
pub(super) fn thread(line: Encoder, thread: &Thread) -> Encoder {
    let by = match thread.by {
        Threading::OrderedSubject => "ORDEREDSUBJECT",
        Threading::References => "REFERENCES",
        Threading::Refs => "REFS",
    };
    in_charset(line.word(by), &thread.search)
}

fn in_charset(line: Encoder, search: &Search) -> Encoder {
    let line = line.word(search.charset.unwrap_or("UTF-8"));
    search.keys.iter().fold(line, |line, key| self::key(line.raw(" "), key))
}

fn is_ascii(key: &SearchKey) -> bool {
    match key {
        SearchKey::Bcc(text)
        | SearchKey::Body(text)
        | SearchKey::Cc(text)
        | SearchKey::From(text)
        | SearchKey::Subject(text)
        | SearchKey::Text(text)
        | SearchKey::To(text)
        | SearchKey::Header { value: text, .. } => text.is_ascii(),
        SearchKey::Not(key) => is_ascii(key),
        SearchKey::Or(a, b) => is_ascii(a) && is_ascii(b),
        SearchKey::And(keys) => keys.iter().all(is_ascii),
        SearchKey::All
        | SearchKey::Answered
        | SearchKey::Deleted
        | SearchKey::Draft
        | SearchKey::Flagged
        | SearchKey::New
        | SearchKey::Old
        | SearchKey::Recent
        | SearchKey::Seen
        | SearchKey::Unanswered
        | SearchKey::Undeleted
        | SearchKey::Undraft
        | SearchKey::Unflagged
        | SearchKey::Unseen
        | SearchKey::Keyword(_)
        | SearchKey::Unkeyword(_)
        | SearchKey::Before(_)
        | SearchKey::On(_)
        | SearchKey::Since(_)
        | SearchKey::SentBefore(_)
        | SearchKey::SentOn(_)
        | SearchKey::SentSince(_)
        | SearchKey::Larger(_)
        | SearchKey::Smaller(_)
        | SearchKey::Older(_)
        | SearchKey::Younger(_)
        | SearchKey::ModSeq(_)
        | SearchKey::Uid(_)
        | SearchKey::Numbers(_) => true,
    }
}

fn key(line: Encoder, key: &SearchKey) -> Encoder {
    match key {
        SearchKey::All => line.raw("ALL"),
        SearchKey::Answered => line.raw("ANSWERED"),
        SearchKey::Deleted => line.raw("DELETED"),
        SearchKey::Draft => line.raw("DRAFT"),
        SearchKey::Flagged => line.raw("FLAGGED"),
        SearchKey::New => line.raw("NEW"),
        SearchKey::Old => line.raw("OLD"),
        SearchKey::Recent => line.raw("RECENT"),
        SearchKey::Seen => line.raw("SEEN"),
        SearchKey::Unanswered => line.raw("UNANSWERED"),
        SearchKey::Undeleted => line.raw("UNDELETED"),
        SearchKey::Undraft => line.raw("UNDRAFT"),
        SearchKey::Unflagged => line.raw("UNFLAGGED"),
        SearchKey::Unseen => line.raw("UNSEEN"),
        SearchKey::Keyword(keyword) => line.raw("KEYWORD").atom(keyword.as_str()),
        SearchKey::Unkeyword(keyword) => line.raw("UNKEYWORD").atom(keyword.as_str()),
        SearchKey::Bcc(text) => line.raw("BCC").string(text),
        SearchKey::Body(text) => line.raw("BODY").string(text),
        SearchKey::Cc(text) => line.raw("CC").string(text),
        SearchKey::From(text) => line.raw("FROM").string(text),
        SearchKey::Subject(text) => line.raw("SUBJECT").string(text),
        SearchKey::Text(text) => line.raw("TEXT").string(text),
        SearchKey::To(text) => line.raw("TO").string(text),
        SearchKey::Header { name, value } => line.raw("HEADER").string(name.as_bytes()).string(value),
        SearchKey::Before(date) => line.raw("BEFORE").atom(date),
        SearchKey::On(date) => line.raw("ON").atom(date),
        SearchKey::Since(date) => line.raw("SINCE").atom(date),
        SearchKey::SentBefore(date) => line.raw("SENTBEFORE").atom(date),
        SearchKey::SentOn(date) => line.raw("SENTON").atom(date),
        SearchKey::SentSince(date) => line.raw("SENTSINCE").atom(date),
        SearchKey::Larger(size) => line.raw("LARGER").word(size),
        SearchKey::Smaller(size) => line.raw("SMALLER").word(size),
        SearchKey::Older(seconds) => line.raw("OLDER").word(seconds),
        SearchKey::Younger(seconds) => line.raw("YOUNGER").word(seconds),
        SearchKey::ModSeq(value) => line.raw("MODSEQ").word(value),
        SearchKey::Uid(set) => line.raw("UID").set(set),
        SearchKey::Numbers(set) => line.bare_set(set),
        SearchKey::Not(inner) => self::key(line.raw("NOT "), inner),
        SearchKey::Or(a, b) => self::key(self::key(line.raw("OR "), a).raw(" "), b),
        SearchKey::And(keys) => {
            let mut line = line.raw("(");
            for (i, inner) in keys.iter().enumerate() {
                line = self::key(if i == 0 { line } else { line.raw(" ") }, inner);
            }
            line.raw(")")
        }
    }
}
