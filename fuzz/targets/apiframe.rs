//! libFuzzer's way into [`midjourney_fuzz::apiframe`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| midjourney_fuzz::apiframe(data));
