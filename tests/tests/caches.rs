//! Decoders that count positions from the length of their past, as Optimum exports Gemma, Whisper, T5 and BART: their caches get new
//! entries where `past_length` says, and stay where they are.
//!
//! `decoders/past_length.py` made the models, and the tokens and logits that ONNX Runtime gives over a past that grows. Every
//! one generates as `flashmem-run generate` does, with an encoder's values beside the prompt: at full residency, at a tenth of
//! the weights, and at its smallest budget, with the same bits.

#[path = "../../runtime/src/cli/generate/decoder.rs"]
#[expect(dead_code, reason = "reports are the program's")]
mod decoder;
#[path = "../../runtime/src/cli/generate/entry.rs"]
mod entry;

use decoder::Decoder;
use flashmem_compiler::compile::CompileOptions;
use flashmem_compiler::import::{StatePair, Value};
use flashmem_plan_format::container::Bundle;
use flashmem_plan_format::plan::Encoding;
use flashmem_runtime::{Context, ElementType, Error, FileSource, PortInfo, Session, Tensor, npz};
use flashmem_tests::{compile_quietly, models, onnx_files, options, relative_l2, smallest_budget};
use std::path::Path;

/// Entries of a past, which has room for one token more.
const PAST: u64 = 79;

/// Relative L2 of the logits.
const TOLERANCE: f64 = 1e-4;

fn decoder_options(model: &str) -> CompileOptions {
    let mut options = options(Encoding::F32);
    let sizes: &[(&str, u64)] = match model {
        "gemma3" => &[
            ("batch_size", 1),
            ("sequence_length", 1),
            ("past_sequence_length", PAST),
            ("past_sequence_length + sequence_length", PAST + 1),
        ],
        _ => &[
            ("batch_size", 1),
            ("decoder_sequence_length", 1),
            ("past_decoder_sequence_length", PAST),
            ("encoder_sequence_length", 7),
        ],
    };
    options.import.dims = sizes.iter().map(|(name, size)| ((*name).to_owned(), *size)).collect();
    if model.ends_with("merged") {
        options.import.values = vec![("use_cache_branch".to_owned(), Value::Bool(true))];
    }
    options.import.states.recognised = true;
    options
}

/// A prompt, what comes with it, the tokens behind it, and the logits that each was chosen from.
struct Reference {
    given: Vec<(String, Tensor)>,
    prompt: Vec<i64>,
    tokens: Vec<i64>,
    logits: Vec<f32>,
}

fn reference(file: &Path, given: &[PortInfo]) -> anyhow::Result<Reference> {
    let port = |name: &str, element| PortInfo { name: name.to_owned(), element, shape: Vec::new() };
    let own = [port("prompt", ElementType::I64), port("tokens", ElementType::I64), port("logits", ElementType::F32)];
    let own = npz::read(file, &own)?;
    let integers = |i: usize| own[i].1.as_i64().expect("integers");
    Ok(Reference {
        given: npz::read(file, given)?,
        prompt: integers(0),
        tokens: integers(1),
        logits: own[2].1.as_f32().expect("floats"),
    })
}

fn most_likely(logits: &[f32]) -> i64 {
    let place = (0..logits.len()).max_by(|a, b| logits[*a].total_cmp(&logits[*b]).then(b.cmp(a)));
    place.expect("a vocabulary") as i64
}

/// Greedy tokens, and the logits that each was chosen from.
fn greedy(session: &mut Session, reference: &Reference) -> anyhow::Result<(Vec<i64>, Vec<f32>)> {
    let mut decoder = Decoder::of(session, &reference.given)?;
    anyhow::ensure!(decoder.room() == Some(PAST + 1), "{:?}", decoder.room());
    let mut last = decoder.read(&reference.prompt, true)?;
    let (mut tokens, mut logits) = (vec![most_likely(&last)], last.clone());
    while tokens.len() < reference.tokens.len() {
        last = decoder.read(&tokens[tokens.len() - 1..], true)?;
        tokens.push(most_likely(&last));
        logits.extend(&last);
    }
    let memory = session.stats().memory;
    anyhow::ensure!(memory.measured_peak_bytes <= memory.declared_peak_bytes, "{memory:?}");
    Ok((tokens, logits))
}

/// A run behind so many tokens.
fn step(session: &mut Session, reference: &Reference, length: u64) -> Result<(), Error> {
    let mut inputs = reference.given.clone();
    inputs.push(("input_ids".to_owned(), Tensor::from_i64(&[1, 1], &[3])));
    inputs.push(("past_length".to_owned(), Tensor::from_i64(&[1], &[length as i64])));
    if session.inputs().iter().any(|port| port.name == "attention_mask") {
        inputs.push(("attention_mask".to_owned(), Tensor::from_i64(&[1, PAST + 1], &[1; PAST as usize + 1])));
    }
    session.run(&inputs).map(drop)
}

#[test]
fn caches_are_appended_to_where_the_caller_says() -> anyhow::Result<()> {
    let (folder, context) = (tempfile::tempdir()?, Context::open(None)?);
    let bundle = folder.path().join("a.fmplan");
    let mut count = 0;
    for model in onnx_files(&models("caches"))? {
        let name = model.file_stem().expect("a file").to_string_lossy().into_owned();
        let options = decoder_options(&name);
        compile_quietly(&model, &bundle, &options)?;
        let plan = Bundle::open(&FileSource::open(&bundle)?)?.plan;
        let states = &plan.states;
        assert!(states.len() == 2 && states.iter().all(|state| state.next.is_none()), "{name}: {states:?}");
        let mut session = Session::builder(&bundle).on(&context).open()?;
        let reference = reference(&model.with_extension("npz"), &entry::given(&session)?)?;
        let found = greedy(&mut session, &reference)?;
        let error = relative_l2(&found.1, &reference.logits);
        assert!(found.0 == reference.tokens && error <= TOLERANCE, "{name}: {:?} {error:.2e}", found.0);
        // What is there already is written over: no call sets it back.
        assert!(greedy(&mut session, &reference)? == found, "{name}: a second text differs");
        for outside in [PAST + 1, 1 << 40] {
            let refused = step(&mut session, &reference, outside);
            assert!(matches!(refused, Err(Error::Input(_))), "{name}: {refused:?}");
        }

        let least = smallest_budget(&model, &bundle, &options)?;
        for budget_bytes in [least + plan.weight_bytes / 10, least] {
            compile_quietly(&model, &bundle, &CompileOptions { budget_bytes: Some(budget_bytes), ..options.clone() })?;
            let mut session = Session::builder(&bundle).on(&context).open()?;
            assert!(greedy(&mut session, &reference)? == found, "{name}: {budget_bytes} bytes change bits");
        }
        count += 1;
    }
    assert_eq!(count, 7);
    Ok(())
}

/// The same pairs, named: what is done follows from the model.
#[test]
fn named_pairs_are_appended_to_as_recognised_ones() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let (model, bundle) = (models("caches").join("whisper.onnx"), folder.path().join("a.fmplan"));
    let mut options = decoder_options("whisper");
    options.import.states.recognised = false;
    let pair = |part: &str| StatePair {
        output: format!("present.0.decoder.{part}"),
        input: format!("past_key_values.0.decoder.{part}"),
    };
    options.import.states.pairs = vec![pair("key"), pair("value")];
    compile_quietly(&model, &bundle, &options)?;
    let states = |bundle: &Path| anyhow::Ok(Bundle::open(&FileSource::open(bundle)?)?.plan.states);
    let kept = states(&bundle)?;
    assert!(kept.len() == 2 && kept.iter().all(|state| state.next.is_none()), "{kept:?}");
    // The other's entries would stand elsewhere than those of one alone.
    options.import.states.pairs.pop();
    compile_quietly(&model, &bundle, &options)?;
    let kept = states(&bundle)?;
    assert!(kept.len() == 1 && kept[0].next.is_some(), "{kept:?}");
    Ok(())
}
