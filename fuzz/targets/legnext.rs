//! libFuzzer's way into [`midjourney_fuzz::legnext`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| midjourney_fuzz::legnext(data));
