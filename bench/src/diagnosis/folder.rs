//! Reads a folder of cases: which there are, and their traces.
//!
//! Not here: what is made of them. The surprise: a file of traces is one zstd stream of OTLP export
//! requests, each after its length as protobuf writes lengths.

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    io::{self, BufReader, Read},
    path::PathBuf,
};

use fixpoint_trace::{
    formats::FormatError,
    model::{Record, Trace, TraceId},
    otlp,
    store::Signal,
};
use serde::Deserialize;

/// A folder could not be read.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// A file is not there, or cannot be read.
    #[error("cannot read {0}")]
    Read(PathBuf, #[source] io::Error),
    /// A list is not what it should be.
    #[error("{0} is no list of cases")]
    List(PathBuf, #[source] serde_json::Error),
    /// A message is no OTLP.
    #[error("{0} holds no traces")]
    Traces(PathBuf, #[source] FormatError),
}

/// A case, as far as it may be known.
#[derive(Debug, Clone, Deserialize)]
pub struct Case {
    /// Its name.
    pub id: String,
    /// The file of the traces in question; none if there are none.
    pub faults: Option<String>,
    /// The file of good traces.
    pub normals: String,
}

/// A folder of cases.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// The folder at a path.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The cases, in their order.
    ///
    /// # Errors
    /// If the list is not there or is none.
    pub fn cases(&self) -> Result<Vec<Case>, FolderError> {
        self.list("cases.json")
    }

    /// The traces to be looked at one by one, by case.
    ///
    /// # Errors
    /// If the list is not there or is none.
    pub fn single_traces(&self) -> Result<BTreeMap<String, Vec<TraceId>>, FolderError> {
        self.list("single_traces.json")
    }

    fn list<T: for<'a> Deserialize<'a>>(&self, name: &str) -> Result<T, FolderError> {
        let path = self.path.join(name);
        let text = std::fs::read(&path).map_err(|error| FolderError::Read(path.clone(), error))?;
        serde_json::from_slice(&text).map_err(|error| FolderError::List(path, error))
    }

    /// The traces of a file, in order of their first spans.
    ///
    /// # Errors
    /// If it cannot be read or holds something else.
    pub fn traces(&self, file: &str) -> Result<Vec<Trace>, FolderError> {
        let path = self.path.join(file);
        let failed = |error| FolderError::Read(path.clone(), error);
        let opened = File::open(&path).map_err(failed)?;
        let mut stream = BufReader::new(zstd::Decoder::new(opened).map_err(failed)?);
        let mut traces = Vec::new();
        while let Some(length) = length(&mut stream).map_err(failed)? {
            let mut message = vec![0; length];
            stream.read_exact(&mut message).map_err(failed)?;
            let decoded = otlp::decode(Signal::Traces, &message)
                .map_err(|error| FolderError::Traces(path.clone(), error))?;
            traces.extend(by_trace(decoded.records));
        }
        Ok(traces)
    }
}

/// Records as traces: no trace spans two messages.
fn by_trace(records: Vec<Record>) -> Vec<Trace> {
    let mut traces: Vec<Trace> = Vec::new();
    let mut places: HashMap<TraceId, usize> = HashMap::new();
    for record in records {
        if let Record::Span(span) = record {
            let place = *places.entry(span.trace_id).or_insert_with(|| {
                traces.push(Trace::default());
                traces.len() - 1
            });
            traces[place].spans.push(span);
        }
    }
    for trace in &mut traces {
        trace.sort();
    }
    traces.sort_by_key(|trace| trace.head().map(|span| (span.start, span.trace_id)));
    traces
}

/// A length as protobuf writes it; none at the end.
fn length(stream: &mut impl Read) -> io::Result<Option<usize>> {
    let mut length = 0_u64;
    for shift in (0..64).step_by(7) {
        let mut byte = [0];
        if stream.read(&mut byte)? == 0 {
            return match shift {
                0 => Ok(None),
                _ => Err(io::ErrorKind::UnexpectedEof.into()),
            };
        }
        length |= u64::from(byte[0] & 0x7f) << shift;
        if byte[0] & 0x80 == 0 {
            return usize::try_from(length)
                .map(Some)
                .map_err(|_| io::ErrorKind::InvalidData.into());
        }
    }
    Err(io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read_as_protobuf_writes_them() {
        let mut bytes = [0x05, 0xac, 0x02].as_slice();
        assert_eq!(length(&mut bytes).unwrap(), Some(5));
        assert_eq!(length(&mut bytes).unwrap(), Some(300));
        assert_eq!(length(&mut bytes).unwrap(), None);
        assert!(length(&mut [0x80].as_slice()).is_err());
        assert!(length(&mut [0xff; 11].as_slice()).is_err());
    }
}
