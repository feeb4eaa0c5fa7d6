//! Examples of farref.
