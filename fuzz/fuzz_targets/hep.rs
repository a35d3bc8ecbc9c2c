//! See `fuzz::hep`.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::hep(data));

#[cfg(not(fuzzing))]
fn main() {}
