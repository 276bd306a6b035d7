//! Writes a table of cells as Parquet, a group of rows at a time; or takes over groups that lie in
//! another file.
//!
//! Not here: what the cells are (`spans.rs`, `logs.rs`). The surprise: no Arrow. The four kinds of
//! column that we have are written straight through Parquet's own column writers, from buffers
//! that grow once.

use std::{fs::File, io::BufWriter, path::Path, sync::Arc};

use bytes::Bytes;
use parquet::{
    basic::{Compression, Encoding, ZstdLevel},
    data_type::{ByteArray, ByteArrayType, FixedLenByteArray, FixedLenByteArrayType, Int64Type},
    file::{
        properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder},
        writer::{SerializedColumnWriter, SerializedFileWriter, SerializedRowGroupWriter},
    },
    schema::{parser::parse_message_type, types::ColumnPath},
};

use super::{super::SegmentError, scan::Groups};

/// How well rows are compressed. What zstd does beyond this costs time and saves nothing.
const LEVEL: i32 = 1;
/// About how many bytes and rows a page has: what must be read and expanded to see one row.
const PAGE_BYTES: usize = 64 << 10;
const PAGE_ROWS: usize = 1000;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// So many bytes, or nothing.
    Id(usize),
    /// Nanoseconds since 1970, or nothing.
    Time,
    /// A number, or nothing.
    Number,
    /// A text of which there are few different ones.
    Word,
    /// A text.
    Text,
    /// Texts by name.
    Map,
}

/// A column: its name, and what it holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
}

/// Texts, one after the other.
#[derive(Debug, Default)]
struct Texts {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Texts {
    fn push(&mut self, text: &[u8]) {
        self.bytes.extend_from_slice(text);
        self.ends.push(self.bytes.len());
    }

    fn take(&mut self) -> Vec<ByteArray> {
        let room = self.bytes.len();
        let bytes = Bytes::from(std::mem::replace(&mut self.bytes, Vec::with_capacity(room)));
        let mut start = 0;
        let cut = self.ends.drain(..).map(|end| {
            let text = bytes.slice(start..end);
            start = end;
            ByteArray::from(text)
        });
        cut.collect()
    }
}

/// The cells of a column, in the group being gathered.
#[derive(Debug)]
enum Cells {
    Ids { ids: Texts, present: Vec<i16> },
    Numbers { values: Vec<i64>, present: Vec<i16> },
    Texts(Texts),
    Maps { keys: Texts, values: Texts, present: Vec<i16>, goes_on: Vec<i16> },
}

/// A Parquet file that is being written.
pub(in super::super) struct Table {
    writer: SerializedFileWriter<BufWriter<File>>,
    columns: Vec<Cells>,
    /// About how many rows a group has; it is gathered in memory.
    group: usize,
    rows: usize,
    written: u64,
}

impl Table {
    pub(super) fn create(
        path: &Path,
        columns: &[Column],
        group: usize,
    ) -> Result<Self, SegmentError> {
        let declared: String =
            columns.iter().map(|column| format!("  {}\n", column.declared())).collect();
        let schema = parse_message_type(&format!("message rows {{\n{declared}}}"))?;
        let mut properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(LEVEL)?))
            .set_data_page_size_limit(PAGE_BYTES)
            .set_data_page_row_count_limit(PAGE_ROWS)
            .set_write_batch_size(256)
            .set_max_row_group_row_count(None)
            .set_statistics_enabled(EnabledStatistics::None)
            .set_dictionary_enabled(false)
            .set_created_by(concat!("fixpoint ", env!("CARGO_PKG_VERSION")).to_owned());
        for column in columns {
            properties = column.properties(properties);
        }
        let file = BufWriter::with_capacity(1 << 20, File::create(path)?);
        let writer =
            SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties.build()))?;
        let columns = columns.iter().map(|column| Cells::of(column.kind)).collect();
        Ok(Self { writer, columns, group, rows: 0, written: 0 })
    }

    /// How many rows there are so far.
    pub(super) fn rows(&self) -> u64 {
        self.written + self.rows as u64
    }

    /// The cells of the next row are pushed, one of each column in their order.
    pub(super) fn row(&mut self) -> Row<'_> {
        Row { cells: self.columns.iter_mut() }
    }

    /// The row is complete.
    pub(super) fn end_row(&mut self) -> Result<(), SegmentError> {
        self.rows += 1;
        // However long a trace is, it has to fit into memory.
        if self.rows == 2 * self.group { self.write_group() } else { Ok(()) }
    }

    /// A group may end here: what belongs together is complete.
    pub(in super::super) fn may_end_group(&mut self) -> Result<(), SegmentError> {
        if self.rows >= self.group { self.write_group() } else { Ok(()) }
    }

    /// A group ends here.
    pub(in super::super) fn end_group(&mut self) -> Result<(), SegmentError> {
        self.write_group()
    }

    /// Takes a group of another file over as it lies there. The row at which it begins now.
    pub(in super::super) fn copy(
        &mut self,
        from: &Groups<'_>,
        group: usize,
    ) -> Result<u64, SegmentError> {
        self.write_group()?;
        let begins = self.written;
        let mut into = self.writer.next_row_group()?;
        for chunk in from.chunks(group)? {
            into.append_column(from.file(), chunk)?;
        }
        let rows = into.close()?.num_rows();
        self.written += u64::try_from(rows).map_err(|_| SegmentError::DAMAGED)?;
        Ok(begins)
    }

    fn write_group(&mut self) -> Result<(), SegmentError> {
        if self.rows == 0 {
            return Ok(());
        }
        let mut group = self.writer.next_row_group()?;
        for cells in &mut self.columns {
            cells.write(&mut group)?;
        }
        group.close()?;
        self.written += self.rows as u64;
        self.rows = 0;
        Ok(())
    }

    /// Writes what is left; the file is complete, and on the disk.
    pub(super) fn finish(mut self) -> Result<u64, SegmentError> {
        self.write_group()?;
        let file = self.writer.into_inner()?;
        let file = file.into_inner().map_err(|error| error.into_error())?;
        file.sync_all()?;
        Ok(file.metadata()?.len())
    }
}

type Group<'a> = SerializedRowGroupWriter<'a, BufWriter<File>>;

/// The writer of the next leaf of the schema. There is one for each that the cells were made for.
fn next<'g>(group: &'g mut Group<'_>) -> Result<SerializedColumnWriter<'g>, SegmentError> {
    group.next_column()?.ok_or(SegmentError::DAMAGED)
}

impl Cells {
    fn of(kind: Kind) -> Self {
        match kind {
            Kind::Id(_) => Self::Ids { ids: Texts::default(), present: Vec::new() },
            Kind::Time | Kind::Number => Self::Numbers { values: Vec::new(), present: Vec::new() },
            Kind::Word | Kind::Text => Self::Texts(Texts::default()),
            Kind::Map => Self::Maps {
                keys: Texts::default(),
                values: Texts::default(),
                present: Vec::new(),
                goes_on: Vec::new(),
            },
        }
    }

    fn write(&mut self, group: &mut Group<'_>) -> Result<(), SegmentError> {
        match self {
            Self::Ids { ids, present } => {
                let mut column = next(group)?;
                let ids: Vec<FixedLenByteArray> = ids.take().into_iter().map(Into::into).collect();
                column.typed::<FixedLenByteArrayType>().write_batch(&ids, Some(present), None)?;
                column.close()?;
                present.clear();
            }
            Self::Numbers { values, present } => {
                let mut column = next(group)?;
                column.typed::<Int64Type>().write_batch(values, Some(present), None)?;
                column.close()?;
                values.clear();
                present.clear();
            }
            Self::Texts(texts) => {
                let mut column = next(group)?;
                column.typed::<ByteArrayType>().write_batch(&texts.take(), None, None)?;
                column.close()?;
            }
            Self::Maps { keys, values, present, goes_on } => {
                for texts in [keys, values] {
                    let mut column = next(group)?;
                    column.typed::<ByteArrayType>().write_batch(
                        &texts.take(),
                        Some(present),
                        Some(goes_on),
                    )?;
                    column.close()?;
                }
                present.clear();
                goes_on.clear();
            }
        }
        Ok(())
    }
}

impl Column {
    /// As Parquet's schema declares it.
    fn declared(&self) -> String {
        let name = self.name;
        match self.kind {
            Kind::Id(bytes) => format!("OPTIONAL FIXED_LEN_BYTE_ARRAY ({bytes}) {name};"),
            Kind::Time => format!("OPTIONAL INT64 {name} (TIMESTAMP(NANOS,true));"),
            Kind::Number => format!("OPTIONAL INT64 {name};"),
            Kind::Word | Kind::Text => format!("REQUIRED BYTE_ARRAY {name} (STRING);"),
            Kind::Map => format!(
                "REQUIRED GROUP {name} (MAP) {{ REPEATED GROUP key_value {{ \
                 REQUIRED BYTE_ARRAY key (STRING); REQUIRED BYTE_ARRAY value (STRING); }} }}"
            ),
        }
    }

    fn properties(&self, properties: WriterPropertiesBuilder) -> WriterPropertiesBuilder {
        let path = ColumnPath::from(self.name);
        match self.kind {
            Kind::Id(_) | Kind::Text => properties,
            Kind::Time | Kind::Number => properties
                .set_column_encoding(path.clone(), Encoding::DELTA_BINARY_PACKED)
                .set_column_statistics_enabled(path, EnabledStatistics::Page),
            Kind::Word => properties.set_column_dictionary_enabled(path, true),
            Kind::Map => {
                let path = |leaf: &str| {
                    let parts = [self.name, "key_value", leaf];
                    ColumnPath::new(parts.map(str::to_owned).to_vec())
                };
                properties.set_column_dictionary_enabled(path("key"), true)
            }
        }
    }
}

/// The cells of one row.
pub(super) struct Row<'a> {
    cells: std::slice::IterMut<'a, Cells>,
}

impl Row<'_> {
    pub(super) fn id(&mut self, id: Option<&[u8]>) {
        if let Some(Cells::Ids { ids, present }) = self.cells.next() {
            present.push(i16::from(id.is_some()));
            if let Some(id) = id {
                ids.push(id);
            }
        }
    }

    pub(super) fn number(&mut self, number: Option<i64>) {
        if let Some(Cells::Numbers { values, present }) = self.cells.next() {
            present.push(i16::from(number.is_some()));
            values.extend(number);
        }
    }

    pub(super) fn text(&mut self, text: &str) {
        if let Some(Cells::Texts(texts)) = self.cells.next() {
            texts.push(text.as_bytes());
        }
    }

    pub(super) fn map<'t>(&mut self, pairs: impl IntoIterator<Item = (&'t str, &'t [u8])>) {
        if let Some(Cells::Maps { keys, values, present, goes_on }) = self.cells.next() {
            let before = goes_on.len();
            for (key, value) in pairs {
                keys.push(key.as_bytes());
                values.push(value);
                present.push(1);
                goes_on.push(i16::from(goes_on.len() > before));
            }
            if goes_on.len() == before {
                present.push(0);
                goes_on.push(0);
            }
        }
    }
}
