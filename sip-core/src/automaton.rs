//! Finite automata that process a byte by one shift.

/// For each byte what it makes of every state: the next state of state `n`, times [`WIDTH`], in the
/// bits from `n` times [`WIDTH`] on. To go on costs a shift, and no look-up waits for the one before.
pub(crate) struct Automaton([u64; 256]);

/// Six bits, for that is what a shift reads.
const WIDTH: u32 = 6;
const STATES: usize = (u64::BITS / WIDTH) as usize;

impl Automaton {
    /// All places are below.
    pub(crate) const PLACES: u64 = 1 << WIDTH;

    /// The automaton of these tables, one for each state.
    pub(crate) const fn new<const N: usize>(next: &[[u8; 256]; N]) -> Self {
        assert!(N <= STATES, "more states than there is room for");
        let mut steps = [0; 256];
        let mut byte = 0;
        while byte < 256 {
            let mut state = 0;
            while state < N {
                steps[byte] |= (next[state][byte] as u64 * WIDTH as u64) << (state as u32 * WIDTH);
                state += 1;
            }
            byte += 1;
        }
        Self(steps)
    }

    /// Where in the bits a state stands.
    pub(crate) const fn place(state: u8) -> u64 {
        state as u64 * WIDTH as u64
    }

    /// The place of the state behind a byte, in its lowest [`WIDTH`] bits.
    #[inline(always)]
    pub(crate) fn step(&self, place: u64, b: u8) -> u64 {
        self.0[usize::from(b)].wrapping_shr(place as u32)
    }

    /// The state behind `text`.
    #[inline]
    pub(crate) fn run(&self, state: u8, text: &[u8]) -> u8 {
        let step = |place, b| self.step(place, b);
        let (quads, tail) = text.as_chunks();
        let place = quads
            .iter()
            .fold(Self::place(state), |place, &[a, b, c, d]| {
                step(step(step(step(place, a), b), c), d)
            });
        let place = tail.iter().copied().fold(place, step) % Self::PLACES;
        (place / u64::from(WIDTH)) as u8
    }

    /// The first byte that leads to `goal` or a state above, and the state behind it; without one, the
    /// state behind `text`.
    #[inline]
    pub(crate) fn find(&self, state: u8, text: &[u8], goal: u8) -> (Option<usize>, u8) {
        let mut place = Self::place(state);
        let found = text.iter().position(|&b| {
            place = self.step(place, b);
            place % Self::PLACES >= Self::place(goal)
        });
        (found, (place % Self::PLACES / u64::from(WIDTH)) as u8)
    }
}
