//! Writes the XML of answers, for both Query protocols.
//!
//! Not a general XML writer: no attributes, no namespaces but the envelope's. The surprise: a
//! writer made `without_items` leaves every list empty, which is how the fault `empty_page` works.

use std::fmt::{Display, Write as _};

/// A fragment of XML being written.
#[derive(Debug, Clone)]
pub(super) struct Xml {
    text: String,
    item: &'static str,
    empty: bool,
}

impl Xml {
    /// Starts a fragment whose list elements are called `item` (EC2) or `member` (the others).
    pub(super) fn new(item: &'static str) -> Self {
        Xml { text: String::new(), item, empty: false }
    }

    /// Makes all lists come out empty.
    pub(super) fn without_items(mut self, empty: bool) -> Self {
        self.empty = empty;
        self
    }

    /// Writes an element with a text.
    pub(super) fn text(&mut self, name: &str, value: impl Display) -> &mut Self {
        let value = value.to_string();
        let _ = write!(self.text, "<{name}>{}</{name}>", escape(&value));
        self
    }

    /// Writes an element if there is a value.
    pub(super) fn maybe(&mut self, name: &str, value: Option<impl Display>) -> &mut Self {
        if let Some(value) = value {
            self.text(name, value);
        }
        self
    }

    /// Writes an element around what the closure writes.
    pub(super) fn node(&mut self, name: &str, inner: impl FnOnce(&mut Xml)) -> &mut Self {
        let _ = write!(self.text, "<{name}>");
        inner(self);
        let _ = write!(self.text, "</{name}>");
        self
    }

    /// Writes a list of elements.
    pub(super) fn list<T>(
        &mut self,
        name: &str,
        members: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut Xml, T),
    ) -> &mut Self {
        let item = self.item;
        let empty = self.empty;
        self.node(name, |xml| {
            for member in members.into_iter().filter(|_| !empty) {
                xml.node(item, |xml| write(xml, member));
            }
        })
    }

    /// Writes a list of plain texts.
    pub(super) fn texts<T: Display>(
        &mut self,
        name: &str,
        members: impl IntoIterator<Item = T>,
    ) -> &mut Self {
        let item = self.item;
        self.node(name, |xml| {
            for member in members {
                xml.text(item, member);
            }
        })
    }

    /// Writes the token of the next page, if there is one.
    pub(super) fn token(&mut self, name: &str, token: Option<String>) -> &mut Self {
        let token = token.filter(|_| !self.empty);
        self.maybe(name, token)
    }

    /// Returns what was written.
    pub(super) fn into_text(self) -> String {
        self.text
    }
}

/// Replaces what XML does not allow in text.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\r' => out.push_str("&#13;"),
            c if c.is_control() && c != '\n' && c != '\t' => {}
            c => out.push(c),
        }
    }
    out
}

/// Writes a policy document as IAM does: percent-encoded after RFC 3986.
pub(super) fn percent(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_and_lists_use_the_protocols_own_name() {
        let mut xml = Xml::new("member");
        xml.list("Tags", ["a&b"], |xml, key| {
            xml.text("Key", key);
        });
        assert_eq!(xml.into_text(), "<Tags><member><Key>a&amp;b</Key></member></Tags>");
    }
}
