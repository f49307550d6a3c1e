//! libFuzzer's way into [`midjourney_fuzz::web`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| midjourney_fuzz::web(data));
