//! Behaviour tests of farref; see `tests/`.
