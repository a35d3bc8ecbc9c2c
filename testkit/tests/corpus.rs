//! Replays the seeds of the fuzz targets, and every input that once broke one of them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{fs, path::Path};

#[test]
fn every_seed_of_every_fuzz_target_holds_its_property() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    for (target, body) in fuzz::TARGETS {
        let mut seeds: Vec<_> = fs::read_dir(corpus.join(target))
            .expect("a folder of seeds for each target")
            .map(|entry| entry.expect("a readable folder").path())
            .collect();
        seeds.sort();
        assert!(!seeds.is_empty(), "no seeds for {target}");
        for seed in seeds {
            println!("{}", seed.display());
            body(&fs::read(&seed).expect("a readable seed"));
        }
    }
}
