//! Reads server-sent events from the body of an answer.
//!
//! Not here: connecting again; that is `follow.rs`, which alone knows where it left off. The
//! surprise: chunks of the body end anywhere, also within a character, so bytes are collected
//! until a line is whole.

use futures_util::{Stream, StreamExt, stream::BoxStream};

/// One event, as the HTML standard defines it (section 9.2).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Event {
    /// The `event` field; empty stands for `message`.
    pub(crate) name: String,
    /// The `data` lines, joined by newlines.
    pub(crate) data: String,
}

/// An event longer than this ends the stream: nothing the server sends comes near it.
const MAX_EVENT: usize = 64 * 1024 * 1024;

/// The events of one answer.
pub(crate) struct Events {
    body: BoxStream<'static, Result<Vec<u8>, BoxError>>,
    parser: Parser,
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl Events {
    /// Reads events from a body that comes in chunks.
    pub(crate) fn new<B, E>(body: impl Stream<Item = Result<B, E>> + Send + 'static) -> Self
    where
        B: AsRef<[u8]>,
        E: Into<BoxError>,
    {
        let owned = |chunk: Result<B, E>| chunk.map(|b| b.as_ref().to_vec()).map_err(Into::into);
        Self { body: body.map(owned).boxed(), parser: Parser::default() }
    }

    /// The next event; none at the end of the body.
    ///
    /// # Errors
    /// The connection broke.
    pub(crate) async fn next(&mut self) -> Option<Result<Event, BoxError>> {
        loop {
            if let Some(event) = self.parser.event() {
                return Some(Ok(event));
            }
            match self.body.next().await? {
                Ok(bytes) => self.parser.feed(&bytes),
                Err(error) => return Some(Err(error)),
            }
            if self.parser.pending.len() > MAX_EVENT {
                return None;
            }
        }
    }
}

/// Splits bytes into events.
#[derive(Debug, Default)]
struct Parser {
    pending: Vec<u8>,
    event: Event,
    has_data: bool,
}

impl Parser {
    fn feed(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
    }

    /// The next whole event among the bytes fed so far.
    fn event(&mut self) -> Option<Event> {
        let mut read = 0;
        let mut found = None;
        while let Some(length) = self.pending[read..].iter().position(|byte| *byte == b'\n') {
            let line = &self.pending[read..read + length];
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            read += length + 1;
            if line.is_empty() {
                let event = std::mem::take(&mut self.event);
                if std::mem::take(&mut self.has_data) {
                    found = Some(event);
                    break;
                }
                continue;
            }
            let line = String::from_utf8_lossy(line);
            let (field, value) = line.split_once(':').unwrap_or((&line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => value.clone_into(&mut self.event.name),
                "data" => {
                    if self.has_data {
                        self.event.data.push('\n');
                    }
                    self.event.data.push_str(value);
                    self.has_data = true;
                }
                // Comments (an empty field name) keep the connection awake; ids are not used:
                // every event carries the whole of what it is about.
                _ => {}
            }
        }
        self.pending.drain(..read);
        found
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    async fn read(chunks: &[&[u8]]) -> Vec<Event> {
        let chunks: Vec<Vec<u8>> = chunks.iter().map(|chunk| chunk.to_vec()).collect();
        let body = stream::iter(chunks.into_iter().map(Ok::<_, std::io::Error>));
        let mut events = Events::new(body);
        let mut all = Vec::new();
        while let Some(event) = events.next().await {
            all.push(event.unwrap());
        }
        all
    }

    fn event(name: &str, data: &str) -> Event {
        Event { name: name.to_owned(), data: data.to_owned() }
    }

    #[tokio::test]
    async fn an_event_may_arrive_in_pieces_that_split_a_character() {
        let whole = "event: run\ndata: {\"seen\":\"2 of 3 ✓\"}\n\n".as_bytes();
        for cut in 0..whole.len() {
            let events = read(&[&whole[..cut], &whole[cut..]]).await;
            assert_eq!(events, [event("run", "{\"seen\":\"2 of 3 ✓\"}")], "cut at {cut}");
        }
    }

    #[tokio::test]
    async fn comments_and_empty_blocks_are_no_events_and_data_lines_are_joined() {
        let events = read(&[b": awake\n\n\r\ndata:a\r\ndata: b\r\n\r\nevent: end\ndata\n\n"]).await;
        assert_eq!(events, [event("", "a\nb"), event("end", "")]);
    }

    #[tokio::test]
    async fn an_event_without_its_blank_line_is_not_given_out() {
        assert_eq!(read(&[b"data: half"]).await, []);
    }
}
