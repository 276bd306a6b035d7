//! Removes secrets by pattern.
