//! d2l-train
