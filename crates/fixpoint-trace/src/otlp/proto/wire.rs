//! Protobuf's wire format: the fields of a message, one after another, and how to write them.
//!
//! Not here: what any field means. The surprise: nothing is ever allocated by what a length says;
//! a field is a slice of the message, so a length that lies is found out at once.
//!
//! <https://protobuf.dev/programming-guides/encoding/>

use super::Invalid;

/// A field's value, as far as the wire tells its type.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Field<'a> {
    /// Integers, enums, booleans.
    Varint(u64),
    /// Times and doubles.
    Fixed64(u64),
    /// Flags.
    Fixed32(u32),
    /// Texts, bytes, and messages.
    Bytes(&'a [u8]),
}

/// The fields of a message in order, with their numbers. Ends after the first error.
///
/// Inlined by force: a field is then looked at in registers, and reading is a third faster.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(super) fn of(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    #[inline(always)]
    fn field(&mut self) -> Result<(u64, Field<'a>), Invalid> {
        let tag = self.varint()?;
        let value = match (tag & 7) as u8 {
            0 => Field::Varint(self.varint()?),
            1 => Field::Fixed64(u64::from_le_bytes(self.fixed()?)),
            2 => {
                let len = usize::try_from(self.varint()?).map_err(|_| Invalid::Truncated)?;
                let (value, rest) = self.rest.split_at_checked(len).ok_or(Invalid::Truncated)?;
                self.rest = rest;
                Field::Bytes(value)
            }
            5 => Field::Fixed32(u32::from_le_bytes(self.fixed()?)),
            other => return Err(Invalid::WireType(other)),
        };
        match tag >> 3 {
            0 => Err(Invalid::FieldZero),
            number => Ok((number, value)),
        }
    }

    #[inline(always)]
    fn varint(&mut self) -> Result<u64, Invalid> {
        // Nearly all tags and lengths are of one byte.
        if let &[byte @ 0..0x80, ref rest @ ..] = self.rest {
            self.rest = rest;
            return Ok(byte.into());
        }
        self.long_varint()
    }

    fn long_varint(&mut self) -> Result<u64, Invalid> {
        let mut value = 0;
        for (place, &byte) in self.rest.iter().take(10).enumerate() {
            if place == 9 && byte > 1 {
                return Err(Invalid::TooLong);
            }
            value |= u64::from(byte & 0x7f) << (7 * place);
            if byte < 0x80 {
                self.rest = &self.rest[place + 1..];
                return Ok(value);
            }
        }
        Err(Invalid::Truncated)
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], Invalid> {
        let (value, rest) = self.rest.split_first_chunk().ok_or(Invalid::Truncated)?;
        self.rest = rest;
        Ok(*value)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Field<'a>), Invalid>;

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

/// Writes a message. Whatever is its type's default is left out, as proto3 does; the methods named
/// `member_…` are for members of a `oneof`, where being there says something too.
#[derive(Debug, Default)]
pub(super) struct Writer {
    out: Vec<u8>,
}

impl Writer {
    pub(super) fn finish(self) -> Vec<u8> {
        self.out
    }

    pub(super) fn varint(&mut self, number: u32, value: u64) {
        if value != 0 {
            self.member_varint(number, value);
        }
    }

    pub(super) fn fixed64(&mut self, number: u32, value: u64) {
        if value != 0 {
            self.member_fixed64(number, value);
        }
    }

    pub(super) fn fixed32(&mut self, number: u32, value: u32) {
        if value != 0 {
            self.tag(number, 5);
            self.out.extend(value.to_le_bytes());
        }
    }

    pub(super) fn bytes(&mut self, number: u32, value: &[u8]) {
        if !value.is_empty() {
            self.member_bytes(number, value);
        }
    }

    pub(super) fn member_varint(&mut self, number: u32, value: u64) {
        self.tag(number, 0);
        self.raw(value);
    }

    pub(super) fn member_fixed64(&mut self, number: u32, value: u64) {
        self.tag(number, 1);
        self.out.extend(value.to_le_bytes());
    }

    pub(super) fn member_bytes(&mut self, number: u32, value: &[u8]) {
        self.tag(number, 2);
        self.raw(value.len() as u64);
        self.out.extend(value);
    }

    /// A field as it was read from another message.
    pub(super) fn field(&mut self, number: u64, field: Field<'_>) -> Result<(), Invalid> {
        // A tag has 32 bits, of which three are the wire type.
        let number = u32::try_from(number).map_err(|_| Invalid::TooLong)?;
        match field {
            Field::Bytes(part) => self.member_bytes(number, part),
            Field::Varint(value) => self.member_varint(number, value),
            Field::Fixed64(value) => self.member_fixed64(number, value),
            Field::Fixed32(value) => self.fixed32(number, value),
        }
        Ok(())
    }

    /// A message within the message, also an empty one.
    pub(super) fn message(&mut self, number: u32, write: impl FnOnce(&mut Self)) {
        self.tag(number, 2);
        let start = self.out.len();
        write(self);
        // Its length stands before it and is known only now. Moving the bytes up once a level is
        // cheaper than measuring every message before it is written.
        let end = self.out.len();
        self.raw((end - start) as u64);
        let prefix = self.out.len() - end;
        self.out[start..].rotate_right(prefix);
    }

    fn tag(&mut self, number: u32, wire_type: u32) {
        self.raw(u64::from(number << 3 | wire_type));
    }

    fn raw(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.out.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.out.push(value as u8);
    }
}
