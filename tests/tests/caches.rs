//! Decoders that count positions from the length of their past, as Optimum exports Gemma, Whisper, T5 and BART: their caches get new
//! entries where `past_length` says, and stay where they are.
//!
//! `decoders/past_length.py` made the models, the texts, and the logits that ONNX Runtime gives over a past that grows.

use flashmem_compiler::compile::CompileOptions;
use flashmem_compiler::import::{StatePair, Value};
use flashmem_plan_format::container::Bundle;
use flashmem_plan_format::plan::Encoding;
use flashmem_runtime::{Context, ElementType, Error, FileSource, PortInfo, Session, Tensor, npz};
use flashmem_tests::{compile_quietly, models, onnx_files, options, relative_l2, smallest_budget};
use std::path::Path;

/// Entries of a past, which has room for one token more.
const PAST: u64 = 23;

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

/// What stays the same in every step, a text, and the logits behind each of its tokens.
struct Reference {
    same: Vec<(String, Tensor)>,
    text: Vec<i64>,
    logits: Vec<f32>,
}

fn reference(file: &Path, inputs: &[PortInfo]) -> anyhow::Result<Reference> {
    let fed = ["input_ids", "attention_mask", "past_length"];
    let same: Vec<PortInfo> = inputs.iter().filter(|port| !fed.contains(&port.name.as_str())).cloned().collect();
    let port = |name: &str, element| PortInfo { name: name.to_owned(), element, shape: Vec::new() };
    let own = npz::read(file, &[port("text", ElementType::I64), port("logits", ElementType::F32)])?;
    Ok(Reference {
        same: npz::read(file, &same)?,
        text: own[0].1.as_i64().expect("integers"),
        logits: own[1].1.as_f32().expect("floats"),
    })
}

fn step(session: &mut Session, reference: &Reference, token: i64, length: u64) -> Result<Vec<f32>, Error> {
    let mut inputs: Vec<(&str, Tensor)> = reference.same.iter().map(|(name, x)| (name.as_str(), x.clone())).collect();
    inputs.push(("input_ids", Tensor::from_i64(&[1, 1], &[token])));
    inputs.push(("past_length", Tensor::from_i64(&[1], &[length as i64])));
    if session.inputs().iter().any(|port| port.name == "attention_mask") {
        let mask: Vec<i64> = (0..=PAST).map(|i| i64::from(i <= length)).collect();
        inputs.push(("attention_mask", Tensor::from_i64(&[1, PAST + 1], &mask)));
    }
    let outputs = session.run(&inputs)?;
    Ok(outputs.get("logits").and_then(Tensor::as_f32).expect("the model has them"))
}

/// The logits behind every token.
fn read(session: &mut Session, reference: &Reference) -> anyhow::Result<Vec<f32>> {
    let mut logits = Vec::new();
    for (length, token) in (0..).zip(&reference.text) {
        logits.extend(step(session, reference, *token, length)?);
    }
    Ok(logits)
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
        let states = Bundle::open(&FileSource::open(&bundle)?)?.plan.states;
        assert!(states.len() == 2 && states.iter().all(|state| state.next.is_none()), "{name}: {states:?}");
        let mut session = Session::builder(&bundle).on(&context).open()?;
        let reference = reference(&model.with_extension("npz"), &session.inputs())?;
        let found = read(&mut session, &reference)?;
        let error = relative_l2(&found, &reference.logits);
        assert!(error <= TOLERANCE, "{name}: {error:.2e}");
        // What is there already is written over: no call sets it back.
        assert!(read(&mut session, &reference)? == found, "{name}: a second text differs");
        for outside in [PAST + 1, 1 << 40] {
            let refused = step(&mut session, &reference, 3, outside);
            assert!(matches!(refused, Err(Error::Input(_))), "{name}: {refused:?}");
        }

        let least = smallest_budget(&model, &bundle, &options)?;
        compile_quietly(&model, &bundle, &CompileOptions { budget_bytes: Some(least), ..options })?;
        let mut session = Session::builder(&bundle).on(&context).open()?;
        assert!(read(&mut session, &reference)? == found, "{name}: the smallest budget changes bits");
        count += 1;
    }
    assert_eq!(count, 5);
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
