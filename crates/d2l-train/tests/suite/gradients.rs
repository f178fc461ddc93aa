//! The gradients of a step as callbacks see them.
