//! The nine, as tests of ours.
