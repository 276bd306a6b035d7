//! Reads rows back from Parquet: some columns, of some ranges of rows, touching only their pages.
//!
//! The surprise: a column is read from its first wanted row to its last, and pages between that
//! hold no wanted row are passed over unread, by the file's own page index.

use std::{
    fs::File,
    io::{self, Read},
    ops::Range,
    path::Path,
    sync::Arc,
};

use bytes::Bytes;
use parquet::{
    column::{
        reader::{ColumnReader, ColumnReaderImpl, get_column_reader},
        writer::ColumnCloseResult,
    },
    data_type::{
        ByteArray, ByteArrayType, DataType, FixedLenByteArray, FixedLenByteArrayType, Int64Type,
    },
    file::{
        metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader},
        properties::ReaderProperties,
        reader::{ChunkReader, Length},
        serialized_reader::SerializedPageReader,
    },
};

use super::{
    super::SegmentError,
    table::{Column, Kind},
};
use crate::store::file::read_at;

/// A file that is read at places.
#[derive(Debug, Clone)]
pub(super) struct Positioned {
    file: Arc<File>,
    size: u64,
}

/// Reads on from a place.
#[derive(Debug)]
pub(super) struct Onward {
    of: Positioned,
    at: u64,
}

impl Read for Onward {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.of.size.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let len = into.len().min(left);
        read_at(&self.of.file, &mut into[..len], self.at)?;
        self.at += len as u64;
        Ok(len)
    }
}

impl Length for Positioned {
    fn len(&self) -> u64 {
        self.size
    }
}

impl ChunkReader for Positioned {
    type T = Onward;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        Ok(Onward { of: self.clone(), at: start })
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        if start.checked_add(length as u64).is_none_or(|end| end > self.size) {
            return Err(parquet::errors::ParquetError::EOF("beyond the end of the file".into()));
        }
        let mut bytes = vec![0; length];
        read_at(&self.file, &mut bytes, start)?;
        Ok(bytes.into())
    }
}

/// A Parquet file that is open.
#[derive(Debug)]
pub(in super::super) struct Scan {
    file: Arc<Positioned>,
    metadata: ParquetMetaData,
    columns: &'static [Column],
    /// Where each group of rows begins, and where the last one ends.
    groups: Vec<u64>,
}

/// The cells of a column, row by row.
#[derive(Debug)]
pub(super) enum Cells {
    /// The column was not asked for.
    Unread,
    Ids(Vec<Option<FixedLenByteArray>>),
    Numbers(Vec<Option<i64>>),
    Texts(Vec<ByteArray>),
    Maps(Vec<Vec<(ByteArray, ByteArray)>>),
}

impl Scan {
    pub(super) fn open(path: &Path, columns: &'static [Column]) -> Result<Self, SegmentError> {
        let file = Arc::new(File::open(path)?);
        let size = file.metadata()?.len();
        let file = Arc::new(Positioned { file, size });
        let metadata = metadata(&file, PageIndexPolicy::Skip)?;
        let leaves: usize = columns.iter().map(Column::leaves).sum();
        let mut groups = vec![0u64];
        for group in metadata.row_groups() {
            let rows = u64::try_from(group.num_rows()).map_err(|_| SegmentError::DAMAGED)?;
            let end = groups.last().and_then(|last| last.checked_add(rows));
            groups.push(end.ok_or(SegmentError::DAMAGED)?);
            if group.num_columns() != leaves {
                return Err(SegmentError::DAMAGED);
            }
        }
        Ok(Self { file, metadata, columns, groups })
    }

    /// How many rows there are.
    pub(super) fn rows(&self) -> u64 {
        self.groups.last().copied().unwrap_or(0)
    }

    /// Where each group of rows begins, and where the last one ends.
    pub(in super::super) fn edges(&self) -> &[u64] {
        &self.groups
    }

    /// The groups, as they lie in the file.
    pub(in super::super) fn groups(&self) -> Result<Groups<'_>, SegmentError> {
        // Nothing else wants what the file says of the least and greatest value in each page.
        Ok(Groups { of: self, metadata: metadata(&self.file, PageIndexPolicy::Optional)? })
    }

    /// The cells of the wanted columns in rising, disjoint ranges of rows, one after the other.
    pub(super) fn read(
        &self,
        ranges: &[Range<u64>],
        wanted: impl Fn(&Column) -> bool,
    ) -> Result<Vec<Cells>, SegmentError> {
        let mut read: Vec<Cells> = self.columns.iter().map(|_| Cells::Unread).collect();
        for (group, edges) in self.groups.windows(2).enumerate() {
            let (start, end) = (edges[0], edges[1]);
            let within: Vec<Range<usize>> = ranges
                .iter()
                .map(|range| range.start.max(start)..range.end.min(end))
                .filter(|range| range.start < range.end)
                .map(|range| (range.start - start) as usize..(range.end - start) as usize)
                .collect();
            if within.is_empty() {
                continue;
            }
            let mut leaf = 0;
            for (column, cells) in self.columns.iter().zip(&mut read) {
                if wanted(column) {
                    self.read_column(group, leaf, column.kind, &within, cells)?;
                }
                leaf += column.leaves();
            }
        }
        Ok(read)
    }

    fn read_column(
        &self,
        group: usize,
        leaf: usize,
        kind: Kind,
        ranges: &[Range<usize>],
        into: &mut Cells,
    ) -> Result<(), SegmentError> {
        match kind {
            Kind::Id(_) => {
                let (values, present, _) =
                    self.leaf::<FixedLenByteArrayType>(group, leaf, ranges)?;
                let cells = optional(values, &present);
                match into {
                    Cells::Ids(ids) => ids.extend(cells),
                    unread => *unread = Cells::Ids(cells.collect()),
                }
            }
            Kind::Time | Kind::Number => {
                let (values, present, _) = self.leaf::<Int64Type>(group, leaf, ranges)?;
                let cells = optional(values, &present);
                match into {
                    Cells::Numbers(numbers) => numbers.extend(cells),
                    unread => *unread = Cells::Numbers(cells.collect()),
                }
            }
            Kind::Word | Kind::Text => {
                let (values, ..) = self.leaf::<ByteArrayType>(group, leaf, ranges)?;
                match into {
                    Cells::Texts(texts) => texts.extend(values),
                    unread => *unread = Cells::Texts(values),
                }
            }
            Kind::Map => {
                let (keys, present, goes_on) = self.leaf::<ByteArrayType>(group, leaf, ranges)?;
                let (values, ..) = self.leaf::<ByteArrayType>(group, leaf + 1, ranges)?;
                let mut pairs = keys.into_iter().zip(values);
                let mut rows: Vec<Vec<(ByteArray, ByteArray)>> = Vec::new();
                for (present, goes_on) in present.into_iter().zip(goes_on) {
                    if goes_on == 0 {
                        rows.push(Vec::new());
                    }
                    if present == 1
                        && let (Some(row), Some(pair)) = (rows.last_mut(), pairs.next())
                    {
                        row.push(pair);
                    }
                }
                match into {
                    Cells::Maps(maps) => maps.extend(rows),
                    unread => *unread = Cells::Maps(rows),
                }
            }
        }
        Ok(())
    }

    /// The values of a leaf column; which cells have one, and which go on in the same row.
    #[allow(clippy::type_complexity, reason = "three lists, named where they are made")]
    fn leaf<T: DataType>(
        &self,
        group: usize,
        leaf: usize,
        ranges: &[Range<usize>],
    ) -> Result<(Vec<T::T>, Vec<i16>, Vec<i16>), SegmentError> {
        let metadata = self.metadata.row_group(group);
        let column = metadata.column(leaf);
        let index = self.metadata.page_index_for_row_group(group);
        let pages = index.page_locations(leaf).cloned().ok_or(SegmentError::DAMAGED)?;
        let rows = usize::try_from(metadata.num_rows()).map_err(|_| SegmentError::DAMAGED)?;
        let reader = SerializedPageReader::new_with_properties(
            Arc::clone(&self.file),
            column,
            rows,
            Some(pages),
            Arc::new(ReaderProperties::builder().build()),
        )?;
        let reader = get_column_reader(column.column_descr_ptr(), Box::new(reader));
        let mut reader: ColumnReaderImpl<T> = typed::<T>(reader)?;
        let (mut values, mut present, mut goes_on) = (Vec::new(), Vec::new(), Vec::new());
        let mut at = 0;
        for range in ranges {
            if range.start > at {
                reader.skip_records(range.start - at)?;
            }
            let wanted = range.end - range.start;
            let mut done = 0;
            while done < wanted {
                let (records, ..) = reader.read_records(
                    wanted - done,
                    Some(&mut present),
                    Some(&mut goes_on),
                    &mut values,
                )?;
                if records == 0 {
                    return Err(SegmentError::DAMAGED);
                }
                done += records;
            }
            at = range.end;
        }
        Ok((values, present, goes_on))
    }
}

fn metadata(
    file: &Positioned,
    column_index: PageIndexPolicy,
) -> Result<ParquetMetaData, SegmentError> {
    Ok(ParquetMetaDataReader::new()
        .with_column_index_policy(column_index)
        .with_offset_index_policy(PageIndexPolicy::Required)
        .parse_and_finish(file)?)
}

/// The groups of a file, to be taken over into another one.
pub(in super::super) struct Groups<'a> {
    of: &'a Scan,
    metadata: ParquetMetaData,
}

impl Groups<'_> {
    pub(super) fn file(&self) -> &Positioned {
        &self.of.file
    }

    /// What a file says of the columns of a group.
    pub(super) fn chunks(&self, group: usize) -> Result<Vec<ColumnCloseResult>, SegmentError> {
        let pages = self.metadata.page_index_for_row_group(group);
        let group = self.metadata.row_groups().get(group).ok_or(SegmentError::DAMAGED)?;
        let whole = |number: i64| u64::try_from(number).map_err(|_| SegmentError::DAMAGED);
        let chunks = (0..).zip(group.columns()).map(|(column, metadata)| {
            Ok(ColumnCloseResult {
                bytes_written: whole(metadata.compressed_size())?,
                rows_written: whole(group.num_rows())?,
                metadata: metadata.clone(),
                bloom_filter: None,
                column_index: pages.column_index(column).cloned(),
                offset_index: pages.offset_index(column).cloned(),
            })
        });
        chunks.collect()
    }
}

/// Parquet's own conversion panics if a damaged file says that the column is of another type.
fn typed<T: DataType>(reader: ColumnReader) -> Result<ColumnReaderImpl<T>, SegmentError> {
    T::get_column_reader(reader).ok_or(SegmentError::DAMAGED)
}

fn optional<T>(values: Vec<T>, present: &[i16]) -> impl Iterator<Item = Option<T>> {
    let mut values = values.into_iter();
    present.iter().map(move |present| if *present == 1 { values.next() } else { None })
}

impl Column {
    /// How many of Parquet's columns it takes.
    fn leaves(&self) -> usize {
        if self.kind == Kind::Map { 2 } else { 1 }
    }
}
