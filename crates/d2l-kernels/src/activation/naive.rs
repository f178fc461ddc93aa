//! Plain twins.
