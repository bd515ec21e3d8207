//! Any text as an API key.

#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| stape_api_fuzz::key(text));
