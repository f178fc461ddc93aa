//! d2l-models
