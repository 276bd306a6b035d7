//! The two steps that come with the library: [`Wait`] and [`Together`].
