//! d2l-data
