//! Choices for small networks: proven, kept to, and never worse than one encoding for all.

use flashmem_compiler::bundle::precision::PrecisionSummary;
use flashmem_compiler::compile::{CompileOptions, Prepared, plan, prepare};
use flashmem_compiler::options::Keep;
use flashmem_compiler::precision::{Goal, PrecisionOptions};
use flashmem_compiler::profile::DeviceProfile;
use flashmem_compiler::schedule::Strategy;
use flashmem_plan_format::encoding::Encoding;

fn options(weights: Encoding, precision: PrecisionOptions) -> CompileOptions {
    let profile = DeviceProfile::load("software").expect("built in");
    CompileOptions { precision, strategy: Strategy::Greedy, keep: Keep::None, ..CompileOptions::new(profile, weights) }
}

fn path(name: &str) -> std::path::PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "/../tests/models/tiny/", name, ".onnx"].concat().into()
}

fn stored(prepared: &Prepared, options: &CompileOptions) -> PrecisionSummary {
    let planned = plan(prepared, options).expect("there is a plan");
    PrecisionSummary::of_plan(&planned.assembled.plan.provenance)
}

#[test]
fn choices_are_proven_kept_and_never_larger_than_one_encoding_for_all() {
    for name in ["vit", "gptneo-s", "resnet50", "whisper-medium-encoder"] {
        let all = options(Encoding::F16, PrecisionOptions::default());
        let prepared = prepare(&path(name), &all, &mut |_| ()).expect("supported");
        let measured = PrecisionOptions { measured: true, ..PrecisionOptions::default() };
        let uniform: Vec<(u64, f64)> = [Encoding::F32, Encoding::F16, Encoding::Q8, Encoding::Q4]
            .into_iter()
            .map(|weights| {
                let found = stored(&prepared, &options(weights, measured.clone()));
                (found.bytes(), found.errors.and_then(|errors| errors.measured).expect("small enough to run"))
            })
            .collect();
        let between = (uniform[2].1 * uniform[3].1).sqrt();
        // What is told has few digits.
        for most in [uniform[2].1, between, uniform[3].1].map(|error| error * 1.0001) {
            let goal = Some(Goal::MaxError(most));
            let found = stored(&prepared, &options(Encoding::F16, PrecisionOptions { goal, ..measured.clone() }));
            let errors = found.errors.clone().expect("it was run");
            let (predicted, error) = (errors.predicted.expect("chosen"), errors.measured.expect("small enough to run"));
            assert!(error <= most * 1.0001 && error <= 1.5 * predicted, "{name}: {error} {predicted} {most}");
            assert_eq!(errors.gap, 0.0, "{name}");
            for (bytes, uniform) in &uniform {
                assert!(
                    *uniform > most || found.bytes() <= *bytes,
                    "{name}: {} bytes, {bytes} at {uniform}",
                    found.bytes()
                );
            }
            // As many bytes: no larger error.
            let goal = Some(Goal::MaxBytes(found.bytes()));
            let again = stored(&prepared, &options(Encoding::F16, PrecisionOptions { goal, ..measured.clone() }));
            assert!(again.bytes() <= found.bytes());
            let again = again.errors.and_then(|errors| errors.measured).expect("small enough to run");
            assert!(again <= error * 1.05, "{name}: {again} {error}");
        }
    }
}
