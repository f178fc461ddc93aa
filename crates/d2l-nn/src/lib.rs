//! d2l-nn
