//! What is made from the seed: branches and tags.
#![allow(missing_docs)]

use std::collections::BTreeSet;

use sip_transport_proto::Tokens;

// RFC 3261 §8.1.1.7, §19.3; conformance: 79, 87
#[test]
fn no_two_branches_and_no_two_tags_are_the_same() {
    const COUNT: usize = 100_000;
    let mut tokens = Tokens::new([7; 32]);
    let mut seen = BTreeSet::new();
    for _ in 0..COUNT {
        let branch = tokens.branch();
        let random = branch.as_str().strip_prefix("z9hG4bK").map(str::to_owned);
        assert!(random.as_ref().is_some_and(|random| random.len() == 16));
        seen.extend(random);
        seen.insert(tokens.tag().as_str().to_owned());
    }
    assert_eq!(seen.len(), 2 * COUNT);
}
