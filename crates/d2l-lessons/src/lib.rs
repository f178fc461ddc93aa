//! d2l-lessons
