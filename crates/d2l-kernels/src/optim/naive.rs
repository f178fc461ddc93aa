//! Plain twins of the updates, in `f64`.
