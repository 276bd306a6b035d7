//! Test kit for plan authors.
