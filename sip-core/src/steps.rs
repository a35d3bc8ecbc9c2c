//! A count of the steps of reading, with the feature `count-steps`: the fuzz target `steps`
//! compares their number with the length of the input.

#[cfg(feature = "count-steps")]
std::thread_local! {
    static STEPS: core::cell::Cell<usize> = const { core::cell::Cell::new(0) };
}

/// Counts the units that a loop has examined: bytes, rows or parameters.
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
