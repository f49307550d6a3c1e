//! libFuzzer's way into [`midjourney_fuzz::cursor`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| midjourney_fuzz::cursor(data));
