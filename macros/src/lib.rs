//! farref macros.
