//! libFuzzer's way into [`midjourney_fuzz::evolink`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| midjourney_fuzz::evolink(data));
