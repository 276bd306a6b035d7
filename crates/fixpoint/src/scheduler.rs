//! Takes one plan to its fixpoint.
