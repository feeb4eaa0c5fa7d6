#![no_main]

use farref::__fuzzed::codecs;

fn peak(run: &mut dyn FnMut()) -> u64 {
    allocation_counter::measure(run).bytes_max
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| codecs(data, peak));
