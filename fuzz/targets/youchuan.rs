//! libFuzzer's way into [`midjourney_fuzz::youchuan`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| midjourney_fuzz::youchuan(data));
