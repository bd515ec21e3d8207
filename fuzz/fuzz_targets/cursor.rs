//! Any text as the query of a list, and the key of a row, in lines of their own.

#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| stape_api_fuzz::cursor(text));
