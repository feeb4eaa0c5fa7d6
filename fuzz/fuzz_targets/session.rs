#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| farref_fuzz::session(data));
