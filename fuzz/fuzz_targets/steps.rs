//! See `fuzz::steps`.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::steps(data));

#[cfg(not(fuzzing))]
fn main() {}
