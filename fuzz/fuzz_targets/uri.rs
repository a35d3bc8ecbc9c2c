//! See `fuzz::uri`.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::uri(data));

#[cfg(not(fuzzing))]
fn main() {}
