//! The bodies of the fuzz targets over their seeds and seeded mutations.

use crate::testing::fuzz;
use crate::testing::mutate::each_mutation;

#[test]
fn bundles_with_right_hashes_are_refused_or_sound() {
    each_mutation(&fuzz::bundle_seeds(), 1, 10_000, &mut fuzz::bundle);
}

#[test]
fn plans_are_refused_or_harmless() {
    each_mutation(&fuzz::plan_seeds(), 2, 30_000, &mut fuzz::plan);
}

#[test]
fn arrays_are_refused_or_whole() {
    for seed in fuzz::npy_seeds() {
        assert!(crate::npy::read(seed.as_slice(), 100).is_ok());
    }
    each_mutation(&fuzz::npy_seeds(), 4, 50_000, &mut fuzz::npy);
}

#[test]
fn seeds_are_accepted_and_mutations_often_reach_the_checks() {
    for seed in fuzz::plan_seeds() {
        let plan: crate::plan::Plan = crate::codec::decode(&seed[2..]).expect("a seed is a plan");
        assert!(crate::validate(&plan, u64::from(seed[1]) * 4).is_ok() && crate::replay(&plan).is_ok());
    }
    let mut decoded = 0;
    each_mutation(&fuzz::plan_seeds(), 2, 1_000, &mut |bytes| {
        decoded +=
            u32::from(bytes.get(2..).is_some_and(|plan| crate::codec::decode::<crate::plan::Plan>(plan).is_ok()));
    });
    assert!(decoded > 200, "{decoded} of 1,000 are plans");
}
