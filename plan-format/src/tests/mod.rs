//! Tests of the crate as a whole.

mod round_trip;
