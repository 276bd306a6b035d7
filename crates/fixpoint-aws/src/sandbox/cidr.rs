//! IPv4 blocks such as `10.0.0.0/16`: reading them, and how two of them lie to each other.
//!
//! Not for IPv6. The surprise: AWS refuses a block with host bits set where a rule is concerned
//! and silently cuts them where a VPC is concerned; `parse` cuts, `is_exact` tells.

use std::fmt;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

/// An IPv4 block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(super) struct Cidr {
    base: u32,
    bits: u8,
}

impl Cidr {
    /// Reads a block; `None` if it is not one. Host bits are cut.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/')?;
        let address: Ipv4Addr = address.parse().ok()?;
        let bits: u8 = bits.parse().ok().filter(|bits| *bits <= 32)?;
        Some(Cidr { base: u32::from(address) & mask(bits), bits })
    }

    /// Tells whether a text is a block without host bits.
    pub(super) fn is_exact(text: &str) -> bool {
        Cidr::parse(text).is_some_and(|cidr| cidr.to_string() == text)
    }

    /// Tells the length of the prefix.
    pub(super) fn bits(self) -> u8 {
        self.bits
    }

    /// Tells whether the other block lies inside this one.
    pub(super) fn contains(self, other: Cidr) -> bool {
        other.bits >= self.bits && other.base & mask(self.bits) == self.base
    }

    /// Tells whether the two blocks share an address.
    pub(super) fn overlaps(self, other: Cidr) -> bool {
        self.contains(other) || other.contains(self)
    }

    /// Tells how many instances fit: AWS keeps five addresses of each subnet.
    pub(super) fn usable(self) -> u32 {
        (1_u64 << (32 - u32::from(self.bits))).saturating_sub(5).try_into().unwrap_or(u32::MAX)
    }

    /// Returns the n-th usable address, from 0.
    pub(super) fn host(self, n: u32) -> Ipv4Addr {
        Ipv4Addr::from(self.base.wrapping_add(4).wrapping_add(n))
    }
}

fn mask(bits: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0)
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", Ipv4Addr::from(self.base), self.bits)
    }
}

impl From<Cidr> for String {
    fn from(cidr: Cidr) -> Self {
        cidr.to_string()
    }
}

impl TryFrom<String> for Cidr {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Cidr::parse(&text).ok_or_else(|| format!("`{text}` is not an IPv4 block"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_contain_and_overlap() {
        let parse = |text| Cidr::parse(text).unwrap();
        assert!(parse("10.0.0.0/16").contains(parse("10.0.255.0/24")));
        assert!(!parse("10.0.0.0/16").contains(parse("10.1.0.0/24")));
        assert!(parse("10.0.0.0/24").overlaps(parse("10.0.0.128/25")));
        assert!(parse("0.0.0.0/0").contains(parse("10.0.0.1/32")));
        assert_eq!(parse("10.0.1.0/24").usable(), 251);
        assert_eq!(parse("10.0.1.0/24").host(0).to_string(), "10.0.1.4");
    }

    #[test]
    fn host_bits_are_cut_and_noticed() {
        assert_eq!(Cidr::parse("10.0.1.7/24").unwrap().to_string(), "10.0.1.0/24");
        assert!(!Cidr::is_exact("10.0.1.7/24") && Cidr::is_exact("0.0.0.0/0"));
        assert!(Cidr::parse("10.0.0.0/33").is_none() && Cidr::parse("10.0.0/8").is_none());
    }
}
