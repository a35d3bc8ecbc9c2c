//! The steps that reading takes, counted where the feature `count-steps` asks for it: the fuzz
//! target `steps` holds their number against the length of what is read.

#[cfg(feature = "count-steps")]
std::thread_local! {
    static STEPS: core::cell::Cell<usize> = const { core::cell::Cell::new(0) };
}

/// Counts what a loop has looked at: bytes, rows or parameters.
#[inline(always)]
pub(crate) fn count(steps: usize) {
    #[cfg(feature = "count-steps")]
    STEPS.with(|count| count.set(count.get().saturating_add(steps)));
    #[cfg(not(feature = "count-steps"))]
    let _ = steps;
}

/// The steps of this thread since the last call.
#[cfg(feature = "count-steps")]
pub fn take_steps() -> usize {
    STEPS.take()
}
