//! What a plan and its steps may know of the run they are part of.
//!
//! Not for clients or settings: those are fields of the plan. The surprise: time has a pace. In a
//! sandbox whose clock runs sixty times as fast, a wait of a minute takes a second.
