//! The examples of farref; each is a program of its own beside this file.
