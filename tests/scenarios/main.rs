//! Whole fleets.
