#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rgpu_fuzz_targets::ptx_compile(data));
