//! Reads a request's body within bounds of size, time and memory, and decompresses it.
//!
//! Not here: what is in it. The surprise: memory is taken from one [`Room`] for all requests, and
//! before it is used. When the room is full a request is refused, to be sent again, rather than
//! kept waiting with what it has already brought. A body that decompresses to more than the limit
//! is given up at the limit, however small it came.

use std::{
    io::{self, Read},
    sync::Arc,
    time::Duration,
};

use axum::{
    body::Body,
    http::{HeaderMap, header},
};
use bytes::{Bytes, BytesMut};
use flate2::read::MultiGzDecoder;
use http_body_util::BodyExt;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time,
};

use super::refusal::Refusal;

/// How long a body may take. The largest comes in time at 560 kB/s.
const MAX_TIME: Duration = Duration::from_secs(30);

/// How much is decompressed at a time; the most that a body can go past its limit.
const STEP: usize = 256 << 10;

/// The window that a zstd body may ask for: 8 MiB, which the format's own document (RFC 8878)
/// asks of every decoder.
const ZSTD_WINDOW_LOG: u32 = 23;

/// The memory for all requests that are not yet stored.
#[derive(Debug, Clone)]
pub(super) struct Room(Arc<Semaphore>);

impl Room {
    pub(super) fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes.min(Semaphore::MAX_PERMITS))))
    }

    fn take(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Refusal> {
        let bytes = u32::try_from(bytes).map_err(|_| Refusal::Overloaded)?;
        Arc::clone(&self.0).try_acquire_many_owned(bytes).map_err(|_| Refusal::Overloaded)
    }
}

/// A body, and its place in the room until it is dropped.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) bytes: Bytes,
    place: OwnedSemaphorePermit,
}

impl Held {
    /// Takes as much room as it takes together with what is made of it.
    pub(super) fn grow(&mut self, bytes: usize, room: &Room) -> Result<(), Refusal> {
        self.place.merge(room.take(bytes.saturating_sub(self.place.num_permits()))?);
        Ok(())
    }
}

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Identity,
    Gzip,
    Zstd,
}

impl Encoding {
    /// As HTTP and gRPC name it.
    pub(super) fn named(name: &str) -> Result<Self, Refusal> {
        match name.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Ok(Self::Identity),
            "gzip" | "x-gzip" => Ok(Self::Gzip),
            "zstd" => Ok(Self::Zstd),
            _ => Err(Refusal::Encoding(name.to_owned())),
        }
    }
}

/// The text of a header; empty if there is none, or it is no text.
pub(super) fn header(headers: &HeaderMap, name: impl header::AsHeaderName) -> &str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// The media type that a body is said to have, in lower case and without parameters.
pub(super) fn essence(headers: &HeaderMap) -> String {
    let said = header(headers, header::CONTENT_TYPE);
    said.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Reads the body as it came.
pub(super) async fn read(
    headers: &HeaderMap,
    body: Body,
    limit: usize,
    room: &Room,
) -> Result<Held, Refusal> {
    let announced = header(headers, header::CONTENT_LENGTH).parse::<u64>().unwrap_or(0);
    if announced > limit as u64 {
        return Err(Refusal::TooLarge(limit));
    }
    let reading = gather(body, announced as usize, limit, room);
    time::timeout(MAX_TIME, reading).await.unwrap_or(Err(Refusal::Slow(MAX_TIME)))
}

/// Takes room for what has come, not for what was announced, which costs a sender nothing. Memory
/// that is reserved and not written to costs nothing either.
async fn gather(
    mut body: Body,
    announced: usize,
    limit: usize,
    room: &Room,
) -> Result<Held, Refusal> {
    let mut place = room.take(0)?;
    let mut bytes = BytesMut::with_capacity(announced);
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| Refusal::Broken)?.into_data() else { continue };
        if bytes.len() + data.len() > limit {
            return Err(Refusal::TooLarge(limit));
        }
        place.merge(room.take(data.len())?);
        bytes.extend_from_slice(&data);
    }
    Ok(Held { bytes: bytes.freeze(), place })
}

/// Decompresses a body. Nothing waits in here, so there are never more decoders, with the windows
/// they need, than threads.
pub(super) fn decompress(
    encoding: Encoding,
    held: Held,
    limit: usize,
    room: &Room,
) -> Result<Held, Refusal> {
    let broken =
        |error: io::Error| Refusal::Malformed(format!("the body cannot be decompressed: {error}"));
    match encoding {
        Encoding::Identity => Ok(held),
        Encoding::Gzip => expand(MultiGzDecoder::new(&*held.bytes), limit, room),
        Encoding::Zstd => {
            let mut decoder = zstd::Decoder::with_buffer(&*held.bytes).map_err(broken)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG).map_err(broken)?;
            expand(decoder, limit, room)
        }
    }
}

fn expand(mut decoder: impl Read, limit: usize, room: &Room) -> Result<Held, Refusal> {
    let mut place = room.take(0)?;
    let mut bytes = Vec::new();
    loop {
        place.merge(room.take(STEP)?);
        let read = decoder.by_ref().take(STEP as u64).read_to_end(&mut bytes).map_err(|error| {
            Refusal::Malformed(format!("the body cannot be decompressed: {error}"))
        })?;
        if bytes.len() > limit {
            return Err(Refusal::TooLarge(limit));
        }
        if read < STEP {
            // Gives back what the last step did not use.
            drop(place.split(place.num_permits() - bytes.len()));
            return Ok(Held { bytes: bytes.into(), place });
        }
    }
}
