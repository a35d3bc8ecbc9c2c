//! See `fuzz::tls_ws_stream`.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::tls_ws_stream(data));

#[cfg(not(fuzzing))]
fn main() {}
