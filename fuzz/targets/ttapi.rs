//! libFuzzer's way into [`midjourney_fuzz::ttapi`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| midjourney_fuzz::ttapi(data));
