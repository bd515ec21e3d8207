//! Any bytes as the body of a batch of billing events.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| stape_api_fuzz::events(bytes));
