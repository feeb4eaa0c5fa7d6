//! farref protocol.
