//! Reports of a real network and of invented plans.
