//! libFuzzer's way into [`midjourney_fuzz::proxy`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| midjourney_fuzz::proxy(data));
