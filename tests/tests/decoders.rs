//! Networks that remember: language models as ONNX Runtime GenAI's builder, Optimum and torch write them, and states that are replaced.
//!
//! `decoders/make.py` and `decoders/exports.py` made the models, and the tokens and logits that ONNX Runtime gives. Every one
//! generates as `flashmem-run generate` does, the prompt through an entry of several tokens and the rest through one of one,
//! over a cache of fixed room that stays on the device: at full residency, at a tenth of the weights, and at its smallest
//! budget, with the same bits.

#[path = "../../runtime/src/cli/generate/decoder.rs"]
#[expect(dead_code, reason = "reports are the program's")]
mod decoder;
#[path = "../../runtime/src/cli/generate/entry.rs"]
#[expect(dead_code, reason = "nothing comes with these prompts")]
mod entry;
#[path = "../../runtime/tests/support/inject.rs"]
#[expect(dead_code, reason = "stalls are the runtime's tests")]
mod inject;

use decoder::Decoder;
use flashmem_compiler::bundle::GoldenSource;
use flashmem_compiler::compile::CompileOptions;
use flashmem_compiler::entries::{EntriesError, Entry, compile_entries};
use flashmem_compiler::import::{ImportOptions, StateOptions, StatePair};
use flashmem_compiler::link::{LinkError, LinkOptions, LinkReport};
use flashmem_compiler::profile::DeviceLimits;
use flashmem_compiler::schedule::SolverKind;
use flashmem_plan_format::container::Bundle;
use flashmem_plan_format::plan::{Encoding, State};
use flashmem_runtime::{
    CancelToken, Context, ElementType, Error, FileSource, MemorySource, Options, PortInfo, RunRequest, Session,
    SessionBuilder, Source, Tensor, npz,
};
use flashmem_tests::{compile_quietly, models, onnx_files, options, relative_l2, smallest_budget};
use inject::{Injector, Misdeed};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Tokens that the cache has room for.
const ROOM: u64 = 72;

/// Tokens of the entry for prompts, which have one more.
const PREFILL: u64 = 4;

/// Relative L2 of the logits of a model in f32.
const TOLERANCE: f64 = 1e-4;

/// The same of one in f16, whose reference rounds every result.
const TOLERANCE_F16: f64 = 1e-2;

/// How a cache takes new entries: it has room for all tokens, or it is moved by one, and the mask has a place more.
#[derive(Clone, Copy, PartialEq)]
enum Cache {
    Appended,
    /// The mask's length has the name that Optimum gives it.
    Moved,
    /// It has the name that `exports.py` gives it.
    MovedByTorch,
}

fn decoder_options(cache: Cache) -> CompileOptions {
    CompileOptions { import: import_options(cache, 1), ..options(Encoding::F32) }
}

/// A decoder that takes so many tokens a run.
fn import_options(cache: Cache, tokens: u64) -> ImportOptions {
    let (past, total, mask) = match cache {
        Cache::Appended => (ROOM, "total_sequence_length", ROOM),
        Cache::Moved => (ROOM - 1, "past_sequence_length + sequence_length", ROOM - 1 + tokens),
        Cache::MovedByTorch => (ROOM - 1, "total_sequence_length", ROOM - 1 + tokens),
    };
    let sizes = [("batch_size", 1), ("sequence_length", tokens), ("past_sequence_length", past), (total, mask)];
    let states = StateOptions { recognised: true, pairs: Vec::new() };
    let dims = sizes.map(|(name, size)| (name.to_owned(), size)).into();
    ImportOptions { dims, states, ..ImportOptions::default() }
}

/// Compiles a decoder's entries.
fn entries(model: &Path, bundle: &Path, cache: Cache, budget_bytes: Option<u64>) -> Result<LinkReport, EntriesError> {
    let entry = |name: &str, tokens| Entry { name: name.to_owned(), import: import_options(cache, tokens) };
    let entries = [entry("prefill", PREFILL), entry("decode", 1)];
    let options = CompileOptions { budget_bytes, ..options(Encoding::F32) };
    let link = LinkOptions {
        budget_bytes,
        calls: vec![1.0, 64.0],
        sequence: Vec::new(),
        shares_states: true,
        limits: DeviceLimits::GUARANTEED,
        solver: SolverKind::default(),
        options: Vec::new(),
        connections: Vec::new(),
    };
    compile_entries(model, bundle, &entries, (&options, &link), &mut |_, _| ())
}

/// The smallest budget of a decoder's entries, as a refusal names it.
fn smallest_of_entries(model: &Path, bundle: &Path, cache: Cache) -> anyhow::Result<u64> {
    match entries(model, bundle, cache, Some(1)) {
        Err(EntriesError::Link(LinkError::TooSmall { smallest_bytes, .. })) => Ok(smallest_bytes),
        other => anyhow::bail!("a budget of one byte is not refused: {other:?}"),
    }
}

fn floats(tensor: &Tensor) -> Vec<f32> {
    match tensor.element {
        ElementType::F16 => tensor.as_f16().expect("halves").into_iter().map(f32::from).collect(),
        ElementType::F32
        | ElementType::I32
        | ElementType::I64
        | ElementType::U8
        | ElementType::I8
        | ElementType::Bool => tensor.as_f32().expect("floats"),
    }
}

/// What a step is given at a position. Appended tokens are the first ones, and moved ones the last.
fn step(cache: Cache, token: i64, position: u64) -> Vec<(&'static str, Tensor)> {
    let mut mask: Vec<i64> = (0..ROOM).map(|i| i64::from(i <= position)).collect();
    let ids = ("input_ids", Tensor::from_i64(&[1, 1], &[token]));
    match cache {
        Cache::Appended => vec![ids, ("attention_mask", Tensor::from_i64(&[1, ROOM], &mask))],
        Cache::Moved | Cache::MovedByTorch => {
            mask.reverse();
            let place = ("position_ids", Tensor::from_i64(&[1, 1], &[position as i64]));
            vec![ids, ("attention_mask", Tensor::from_i64(&[1, ROOM], &mask)), place]
        }
    }
}

fn most_likely(logits: &[f32]) -> i64 {
    let place = (0..logits.len()).max_by(|a, b| logits[*a].total_cmp(&logits[*b]).then(b.cmp(a)));
    place.expect("a vocabulary") as i64
}

/// Greedy tokens behind a prompt, and the logits that each was chosen from.
fn greedy(
    session: &mut Session,
    cache: Cache,
    prompt: &[i64],
    count: usize,
) -> anyhow::Result<(Vec<i64>, Vec<Vec<f32>>)> {
    session.reset_state()?;
    let (mut tokens, mut logits, mut text) = (Vec::new(), Vec::new(), prompt.to_vec());
    for position in 0..prompt.len() + count - 1 {
        let outputs = session.run(&step(cache, text[position], position as u64))?;
        if position + 1 >= prompt.len() {
            logits.push(floats(outputs.get("logits").expect("the model has them")));
            tokens.push(most_likely(logits.last().expect("just pushed")));
            text.extend(tokens.last());
        }
    }
    let memory = session.stats().memory;
    anyhow::ensure!(memory.measured_peak_bytes <= memory.declared_peak_bytes, "{memory:?}");
    Ok((tokens, logits))
}

fn reference(npz_file: &Path) -> anyhow::Result<(Vec<i64>, Vec<i64>, Vec<f32>)> {
    let port = |name: &str, element| PortInfo { name: name.to_owned(), element, shape: Vec::new() };
    let ports = [port("prompt", ElementType::I64), port("tokens", ElementType::I64), port("logits", ElementType::F32)];
    let arrays = npz::read(npz_file, &ports)?;
    let integers = |i: usize| arrays[i].1.as_i64().expect("integers");
    Ok((integers(0), integers(1), arrays[2].1.as_f32().expect("floats")))
}

fn states(bundle: &Path) -> anyhow::Result<Vec<State>> {
    Ok(Bundle::open(&FileSource::open(bundle)?)?.plan.states)
}

/// Greedy tokens by entries, and the logits that each was chosen from.
fn greedy_by_entries(session: &mut Session, prompt: &[i64], count: usize) -> anyhow::Result<(Vec<i64>, Vec<Vec<f32>>)> {
    let mut decoder = Decoder::of(session, &[])?;
    let mut logits = vec![decoder.read(prompt, true)?];
    let mut tokens = vec![most_likely(&logits[0])];
    while tokens.len() < count {
        logits.push(decoder.read(&tokens[tokens.len() - 1..], tokens.len() + 1 < count)?);
        tokens.push(most_likely(logits.last().expect("just pushed")));
    }
    // Once more there is room for the wide entry.
    anyhow::ensure!(
        decoder.room() == Some(ROOM) && decoder.pieces(PREFILL + 2) == [PREFILL, 1, 1],
        "{:?}",
        decoder.room()
    );
    let memory = session.stats().memory;
    anyhow::ensure!(memory.measured_peak_bytes <= memory.declared_peak_bytes, "{memory:?}");
    Ok((tokens, logits))
}

/// Every decoder with its name and how it is cached.
fn decoders() -> anyhow::Result<Vec<(String, PathBuf, Cache)>> {
    let mut decoders = Vec::new();
    for model in onnx_files(&models("decoders"))? {
        let name = model.file_stem().expect("a file").to_string_lossy().into_owned();
        let ends = |kind: &str| name.ends_with(kind);
        let cache = match () {
            () if ends("optimum") => Cache::Moved,
            () if ends("torch24") => Cache::MovedByTorch,
            () => Cache::Appended,
        };
        decoders.push((name, model, cache));
    }
    decoders.retain(|(name, ..)| name != "window");
    assert_eq!(decoders.len(), 20);
    Ok(decoders)
}

#[test]
fn decoders_give_the_tokens_of_onnx_runtime_by_entries() -> anyhow::Result<()> {
    let (folder, context) = (tempfile::tempdir()?, Context::open(None)?);
    let bundle = folder.path().join("a.fmplan");
    for (name, model, cache) in decoders()? {
        let (prompt, tokens, logits) = reference(&model.with_extension("npz"))?;
        let least = smallest_of_entries(&model, &bundle, cache)?;
        let weights = entries(&model, &bundle, cache, None)?.linked.pages_bytes().expect("few");
        let mut first = None;
        for budget_bytes in [None, Some(least + weights / 10), Some(least)] {
            let report = entries(&model, &bundle, cache, budget_bytes)?;
            let declared = report.linked.memory.total_bytes();
            assert!(budget_bytes.is_none() || declared <= budget_bytes, "{name}: {declared:?} {budget_bytes:?}");
            let mut session = Session::builder(&bundle).on(&context).open()?;
            let found = greedy_by_entries(&mut session, &prompt, tokens.len())?;
            let error = relative_l2(&found.1.concat(), &logits);
            let tolerance = if name.ends_with("fp16") { TOLERANCE_F16 } else { TOLERANCE };
            assert!(found.0 == tokens && error <= tolerance, "{name}: {:?} {tokens:?} {error:.2e}", found.0);
            assert!(*first.get_or_insert_with(|| found.clone()) == found, "{name}: {budget_bytes:?} changes bits");
        }
    }
    Ok(())
}

#[test]
fn a_prompt_in_pieces_is_one_token_by_token() -> anyhow::Result<()> {
    let (folder, context) = (tempfile::tempdir()?, Context::open(None)?);
    let [whole, single] = ["whole", "single"].map(|name| folder.path().join(name));
    for (name, model, cache) in decoders()? {
        entries(&model, &whole, cache, None)?;
        compile_quietly(&model, &single, &decoder_options(cache))?;
        let in_place = states(&single)?.iter().all(|state| state.next.is_none());
        assert!(in_place == (cache == Cache::Appended), "{name}: its cache is copied: {}", !in_place);
        let prompt: Vec<i64> = (0..2 * PREFILL as i64 + 3).map(|place| (place * 37 + 5) % 80).collect();
        let mut session = Session::builder(&single).on(&context).open()?;
        let expected = greedy(&mut session, cache, &prompt, 8)?;
        let mut session = Session::builder(&whole).on(&context).open()?;
        let mut decoder = Decoder::of(&mut session, &[])?;
        assert_eq!(decoder.pieces(prompt.len() as u64), [PREFILL, PREFILL, 1, 1, 1], "{name}");
        let logits = decoder.read(&prompt, false)?;
        let error = relative_l2(&logits, &expected.1[0]);
        assert!(error <= 1e-5 && most_likely(&logits) == expected.0[0], "{name}: {error:.2e}");
    }
    Ok(())
}

#[test]
fn a_bundle_that_cannot_generate_is_refused_by_what_it_lacks() -> anyhow::Result<()> {
    let (folder, context) = (tempfile::tempdir()?, Context::open(None)?);
    let (model, bundle) = (models("decoders").join("llama-int4.onnx"), folder.path().join("a.fmplan"));
    let import = import_options(Cache::Appended, PREFILL);
    compile_quietly(&model, &bundle, &CompileOptions { import, ..options(Encoding::F32) })?;
    let mut session = Session::builder(&bundle).on(&context).open()?;
    let refused = Decoder::of(&mut session, &[]).err().map(|error| error.to_string()).unwrap_or_default();
    assert!(refused.contains("takes 4:") && refused.contains("--set sequence_length=1"), "{refused}");
    Ok(())
}

/// As scripts of exporters begin: the whole prompt behind pasts without elements.
#[test]
fn a_prompt_stands_behind_empty_pasts() -> anyhow::Result<()> {
    let (folder, context) = (tempfile::tempdir()?, Context::open(None)?);
    let bundle = folder.path().join("a.fmplan");
    let some = ["llama-fp16", "llama-optimum", "qwen3-int4"];
    for (name, model, cache) in decoders()?.into_iter().filter(|(name, ..)| some.contains(&name.as_str())) {
        let (prompt, tokens, logits) = reference(&model.with_extension("npz"))?;
        let count = prompt.len() as u64;
        let mut options = decoder_options(cache);
        options.import = ImportOptions { states: StateOptions::default(), ..import_options(cache, count) };
        for (dim, size) in &mut options.import.dims {
            *size = if dim == "batch_size" { 1 } else { count * u64::from(dim != "past_sequence_length") };
        }
        options.golden = Some(GoldenSource::Seed);
        compile_quietly(&model, &bundle, &options)?;
        let mut session = Session::builder(&bundle).on(&context).open()?;
        session.self_test()?;
        let given = |port: &PortInfo| match port.name.as_str() {
            "input_ids" => Tensor::from_i64(&port.shape, &prompt),
            "attention_mask" => Tensor::from_i64(&port.shape, &vec![1; prompt.len()]),
            "position_ids" => Tensor::from_i64(&port.shape, &(0..count as i64).collect::<Vec<_>>()),
            _ => Tensor { element: port.element, shape: port.shape.clone(), bytes: Vec::new() },
        };
        let mut inputs: Vec<_> = session.inputs().iter().map(|port| (port.name.clone(), given(port))).collect();
        assert_eq!(inputs.iter().filter(|(_, tensor)| tensor.shape.get(2) == Some(&0)).count(), 4, "{name}");
        let found = floats(session.run(&inputs)?.get("logits").expect("the model has them"));
        let vocabulary = logits.len() / tokens.len();
        let error = relative_l2(&found[found.len() - vocabulary..], &logits[..vocabulary]);
        let tolerance = if name.ends_with("fp16") { TOLERANCE_F16 } else { TOLERANCE };
        assert!(error <= tolerance, "{name}: {error:.2e}");
        // It is checked all the same.
        let past = inputs.last_mut().expect("pasts stand last");
        past.1 = Tensor::from_f32(&[1, 2, 1, 16], &[0.0; 32]);
        assert!(matches!(session.run(&inputs), Err(Error::Input(_))), "{name}");
    }
    Ok(())
}

#[test]
fn a_cache_outlives_trims_and_steps_that_fail() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let (model, bundle) = (models("decoders").join("llama-fp32.onnx"), folder.path().join("a.fmplan"));
    let options = decoder_options(Cache::Appended);
    let least = smallest_budget(&model, &bundle, &options)?;
    compile_quietly(&model, &bundle, &CompileOptions { budget_bytes: Some(least), ..options })?;
    let source = Injector::new(&std::fs::read(&bundle)?);
    let mut session = Session::builder(Source::Blocking(source.clone())).options(Options::default()).open()?;
    let prompt = [5, 9, 3, 70];
    let (tokens, logits) = greedy(&mut session, Cache::Appended, &prompt, 4)?;
    session.reset_state()?;
    let text: Vec<i64> = prompt.iter().chain(&tokens).copied().collect();
    for (position, token) in text[..text.len() - 1].iter().enumerate() {
        let inputs = step(Cache::Appended, *token, position as u64);
        match position % 3 {
            // What a failed step appended is appended again.
            0 => {
                // One of the first reads: the step before has read some pages of this one ahead.
                source.arm(position as u32 / 3, Misdeed::Error);
                let error = session.run(&inputs).expect_err("a read fails");
                assert!(source.expects(Misdeed::Error, &error), "{error:?}");
                source.release();
            }
            1 => session.trim()?,
            _ => {
                let token = CancelToken::new();
                token.cancel();
                let cancelled = session.run(RunRequest::new(&inputs).with_cancel(&token));
                assert!(matches!(cancelled, Err(Error::Cancelled { .. })), "{cancelled:?}");
            }
        }
        let outputs = session.run(&inputs)?;
        if let Some(at) = (position + 1).checked_sub(prompt.len()) {
            assert_eq!(floats(outputs.get("logits").expect("the model has them")), logits[at], "token {position}");
        }
    }
    assert_eq!(session.states().len(), 4);
    Ok(())
}

/// The network of two states that are replaced, and what its runs give where the caller feeds them.
struct Window {
    bundle: Vec<u8>,
    xs: Vec<[(&'static str, Tensor); 1]>,
    expected: Vec<Tensor>,
}

fn window() -> anyhow::Result<Window> {
    let folder = tempfile::tempdir()?;
    let (model, bundle) = (models("decoders").join("window.onnx"), folder.path().join("a.fmplan"));
    let mut options = options(Encoding::F32);
    compile_quietly(&model, &bundle, &options)?;
    let mut session = Session::builder(&bundle).open()?;
    let zeros = |shape: &[u64]| Tensor::from_f32(shape, &vec![0.0; shape.iter().product::<u64>() as usize]);
    let (mut h, mut past) = (zeros(&[1, 64]), zeros(&[1, 3, 64]));
    let (mut xs, mut expected) = (Vec::new(), Vec::new());
    for run in 0..6 {
        let x: Vec<f32> = (0..64).map(|i| ((i * 7 + run * 13) % 32) as f32 / 16.0 - 1.0).collect();
        let x = Tensor::from_f32(&[1, 64], &x);
        let outputs = session.run(&[("h", h), ("past", past), ("x", x.clone())])?;
        let output = |name: &str| outputs.get(name).expect("the model has it").clone();
        let present = output("present").as_f32().expect("floats");
        (h, past) = (output("next"), Tensor::from_f32(&[1, 3, 64], &present[64..]));
        xs.push([("x", x)]);
        expected.push(output("y"));
    }
    let pair = |output: &str, input: &str| StatePair { output: output.to_owned(), input: input.to_owned() };
    options.import.states = StateOptions { recognised: false, pairs: vec![pair("next", "h"), pair("present", "past")] };
    options.budget_bytes = Some(smallest_budget(&model, &bundle, &options)?);
    compile_quietly(&model, &bundle, &options)?;
    let kept = states(&bundle)?;
    assert!(kept.len() == 2 && kept.iter().all(|state| state.next.is_some()), "{kept:?}");
    Ok(Window { bundle: std::fs::read(&bundle)?, xs, expected })
}

#[test]
fn replaced_states_go_on_from_run_to_run() -> anyhow::Result<()> {
    let Window { bundle, xs, expected } = window()?;
    let mut session = Session::builder(Source::Blocking(Arc::new(MemorySource::from(bundle)))).open()?;
    let names = |ports: Vec<PortInfo>| ports.into_iter().map(|port| port.name).collect::<Vec<_>>();
    assert_eq!(names(session.inputs()), ["x"]);
    assert_eq!(names(session.outputs()), ["y"]);
    assert_eq!(names(session.states()), ["h", "past"]);
    for round in 0..2 {
        for (x, y) in xs.iter().zip(&expected) {
            assert_eq!(session.run(x)?.get("y"), Some(y), "round {round}");
            session.trim()?;
        }
        session.reset_state()?;
    }
    // A trimmed session is set back as well.
    session.run(&xs[3])?;
    session.trim()?;
    session.reset_state()?;
    assert_eq!(session.run(&xs[0])?.get("y"), Some(&expected[0]));
    Ok(())
}

#[test]
fn a_run_that_fails_leaves_replaced_states_as_they_were() -> anyhow::Result<()> {
    let Window { bundle, xs, expected } = window()?;
    for misdeed in [Misdeed::Error, Misdeed::Flip, Misdeed::Short] {
        let source = Injector::new(&bundle);
        let mut session = Session::builder(Source::Blocking(source.clone())).open()?;
        assert_eq!(session.run(&xs[0])?.get("y"), Some(&expected[0]));
        let before = source.reads();
        assert_eq!(session.run(&xs[1])?.get("y"), Some(&expected[1]));
        let reads = source.reads() - before;
        assert!(reads > 0, "nothing is streamed");
        for read in 0..reads {
            session.reset_state()?;
            for (run, (x, y)) in xs.iter().zip(&expected).enumerate() {
                if run == 2 {
                    source.arm(read, misdeed);
                    session.run(x).expect_err("a read fails");
                    source.release();
                    // Nor does one that is never polled to its end.
                    drop(session.run_async(x));
                    session.run(&[("x", Tensor::from_f32(&[1], &[0.0]))]).expect_err("the shape does not fit");
                }
                assert_eq!(session.run(x)?.get("y"), Some(y), "read {read}, run {run}");
            }
        }
    }
    Ok(())
}

#[test]
fn states_are_read_set_and_copied() -> anyhow::Result<()> {
    let Window { bundle, xs, expected } = window()?;
    let context = Context::open(None)?;
    let open = |context: Option<&Context>| {
        let builder = Session::builder(Source::Blocking(Arc::new(MemorySource::from(bundle.clone()))));
        context.into_iter().fold(builder, SessionBuilder::on).open()
    };
    let mut session = open(Some(&context))?;
    let zeros = session.state("h")?;
    assert_eq!((zeros.shape.as_slice(), zeros.as_f32().expect("floats")), (&[1_u64, 64][..], vec![0.0; 64]));
    for (x, y) in xs[..3].iter().zip(&expected) {
        assert_eq!(session.run(x)?.get("y"), Some(y));
        // Between runs, and in a session that gave its memory back.
        session.state("past")?;
        session.trim()?;
    }
    let kept = ["h", "past"].map(|name| session.state(name).map(|value| (name, value)));
    let kept: Vec<_> = kept.into_iter().collect::<Result<_, _>>()?;
    let past = kept[1].1.as_f32().expect("floats");
    let given: Vec<f32> = xs[..3].iter().flat_map(|[(_, x)]| x.as_f32().expect("floats")).collect();
    assert_eq!(past, given, "the last rows that it was given");
    // What was read goes on in another session, on this device, on another one, and by setting.
    let (mut same, mut other, mut set) = (open(Some(&context))?, open(None)?, open(None)?);
    same.copy_states_from(&mut session)?;
    other.copy_states_from(&mut session)?;
    for (name, value) in &kept {
        set.set_state(name, value)?;
    }
    for session in [&mut same, &mut other, &mut set, &mut session] {
        for (x, y) in xs[3..].iter().zip(&expected[3..]) {
            assert_eq!(session.run(x)?.get("y"), Some(y));
        }
        let memory = session.stats().memory;
        assert!(memory.measured_peak_bytes <= memory.declared_peak_bytes, "{memory:?}");
    }
    // Back to where they were read, between runs that repeat and stream.
    for (name, value) in &kept {
        session.set_state(name, value)?;
        assert_eq!(session.state(name)?, *value);
    }
    assert_eq!(session.run(&xs[3])?.get("y"), Some(&expected[3]));
    Ok(())
}

#[test]
fn a_state_that_does_not_fit_is_refused_and_stays() -> anyhow::Result<()> {
    let Window { bundle, xs, expected } = window()?;
    let source = Injector::new(&bundle);
    let mut session = Session::builder(Source::Blocking(source.clone())).open()?;
    session.run(&xs[0])?;
    let h = session.state("h")?;
    let unknown = session.state("x").expect_err("an input is no state");
    assert!(matches!(unknown, Error::UnknownState { .. }) && unknown.to_string().contains("h, past"), "{unknown}");
    let wrong = |element, shape: &[u64], bytes| Tensor { element, shape: shape.to_vec(), bytes: vec![1; bytes] };
    for value in [
        wrong(ElementType::F16, &[1, 64], 128),
        wrong(ElementType::F32, &[64], 256),
        wrong(ElementType::F32, &[1, 64], 255),
    ] {
        let refused = session.set_state("h", &value).expect_err("it does not fit");
        assert!(matches!(refused, Error::Input(_)), "{refused}");
    }
    // A run that fails changes nothing, and what it left with readers does not stand in the way.
    source.arm(0, Misdeed::Error);
    session.run(&xs[1]).expect_err("a read fails");
    source.release();
    assert_eq!(session.state("h")?, h);
    session.set_state("h", &h)?;
    source.arm(0, Misdeed::Error);
    session.run(&xs[1]).expect_err("a read fails");
    source.release();
    session.set_state("h", &h)?;
    assert_eq!(session.run(&xs[1])?.get("y"), Some(&expected[1]));
    let folder = tempfile::tempdir()?;
    let llama = folder.path().join("a.fmplan");
    compile_quietly(&models("decoders").join("llama-int4.onnx"), &llama, &decoder_options(Cache::Appended))?;
    let mut other = Session::builder(&llama).open()?;
    assert!(matches!(session.copy_states_from(&mut other), Err(Error::OtherBundle)));
    Ok(())
}

#[test]
fn a_text_goes_on_in_two_sessions() -> anyhow::Result<()> {
    let (folder, context) = (tempfile::tempdir()?, Context::open(None)?);
    let bundle = folder.path().join("a.fmplan");
    // Its cache is of halves at the interface.
    let model = models("decoders").join("llama-fp16.onnx");
    let least = smallest_of_entries(&model, &bundle, Cache::Appended)?;
    entries(&model, &bundle, Cache::Appended, Some(least))?;
    let (prompt, tokens, _) = reference(&model.with_extension("npz"))?;
    let open = || Session::builder(&bundle).on(&context).open();
    let (mut session, mut fork) = (open()?, open()?);
    let whole = greedy_by_entries(&mut session, &prompt, tokens.len())?;
    let name = session.states()[0].name.clone();
    let value = session.state(&name)?;
    assert!(value.element == ElementType::F16 && value.bytes.iter().any(|byte| *byte != 0));
    fork.copy_states_from(&mut session)?;
    assert_eq!(fork.state(&name)?, value);
    fork.reset_state()?;
    fork.set_state(&name, &value)?;
    assert_eq!(fork.state(&name)?, value);
    // The tokens of the original are still there: a mask of fewer ones goes back to them.
    fork.copy_states_from(&mut session)?;
    let at = prompt.len() + 7;
    let outputs = fork.run(RunRequest::new(&step(Cache::Appended, whole.0[7], at as u64)).with_network("decode"))?;
    assert_eq!(floats(outputs.get("logits").expect("the model has them")), whole.1[8]);
    Ok(())
}
