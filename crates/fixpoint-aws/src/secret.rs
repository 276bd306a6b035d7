//! A value that must not be seen: user data, private keys.
//!
//! Not encryption: the value lies in memory as it is. The surprise: [`Secret`] implements neither
//! `Display` nor `Serialize`, so it can leave only where somebody wrote [`Secret::reveal`].

use std::fmt;

/// A value whose `Debug` hides it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Hides `value`.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself. Every call is a place where a secret may leak: keep them few.
    pub fn reveal(&self) -> &T {
        &self.0
    }
}

impl From<String> for Secret<String> {
    fn from(value: String) -> Self {
        Self(value)
    }
}

impl From<&str> for Secret<String> {
    fn from(value: &str) -> Self {
        Self(value.to_owned())
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing_of_a_secret_also_inside_other_values() {
        let shown = format!("{:?}", Some(vec![Secret::from("hunter2")]));
        assert_eq!(shown, "Some([[secret]])");
    }
}
