//! Any text as an amount, a rate and a part of it.

#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| stape_api_fuzz::money(text));
