//! Any text as an id.

#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| stape_api_fuzz::id(text));
