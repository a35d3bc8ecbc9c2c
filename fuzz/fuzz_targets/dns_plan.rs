//! See `fuzz::dns_plan`.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::dns_plan(data));

#[cfg(not(fuzzing))]
fn main() {}
