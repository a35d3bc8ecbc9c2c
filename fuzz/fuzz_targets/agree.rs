//! See `fuzz::agree`.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::agree(data));

#[cfg(not(fuzzing))]
fn main() {}
