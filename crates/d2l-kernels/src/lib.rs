//! d2l-kernels
