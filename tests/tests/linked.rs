//! Bundles of several networks: in any order, under any budget and whatever fails in between, every network gives the bits of its own
//! bundle; equal parts are stored once; entries of one decoder share their cache.

#[path = "../../runtime/tests/support/inject.rs"]
#[expect(dead_code, reason = "stalls are the runtime's tests")]
mod inject;

use anyhow::Context as _;
use flashmem_compiler::compile::CompileOptions;
use flashmem_compiler::link::{ConnectionRequest, LinkError, LinkInput, LinkOptions, LinkReport, link};
use flashmem_compiler::profile::DeviceLimits;
use flashmem_compiler::schedule::SolverKind;
use flashmem_plan_format::plan::Encoding;
use flashmem_plan_format::random::SplitMix64;
use flashmem_runtime::{CancelToken, Context, Error, Outputs, RunRequest, Session, Source, Tensor, npz};
use flashmem_tests::{compile_quietly, models, options};
use inject::{Injector, Misdeed};
use std::path::{Path, PathBuf};

/// Two language models, of which one has a table of rows, and three of images.
const NETWORKS: [&str; 5] = ["vit", "gptneo-s", "deepvit", "resnet50", "whisper-medium-encoder"];

/// Orders that are tried under the smallest budget, in runs.
const RUNS: u32 = 1_000;
/// The same under others.
const FEWER_RUNS: u32 = 60;

const PAGE_BYTES: u64 = 32 << 10;

/// A network with its own bundle's outputs.
struct Member {
    name: String,
    bundle: PathBuf,
    inputs: Vec<(String, Tensor)>,
    outputs: Outputs,
}

impl Member {
    fn request(&self) -> RunRequest<'_> {
        RunRequest::new(&self.inputs).with_network(&self.name)
    }
}

fn member(folder: &Path, context: &Context, name: &str) -> anyhow::Result<Member> {
    let (model, bundle) = (models("tiny").join(format!("{name}.onnx")), folder.join(format!("{name}.fmplan")));
    compile_quietly(&model, &bundle, &CompileOptions { page_bytes: Some(PAGE_BYTES), ..options(Encoding::F16) })?;
    let mut session = Session::builder(&bundle).on(context).open()?;
    let inputs = npz::read(&model.with_extension("npz"), &session.inputs())?;
    let outputs = session.run(&inputs)?;
    Ok(Member { name: name.to_owned(), bundle, inputs, outputs })
}

fn link_options(networks: usize, budget_bytes: Option<u64>) -> LinkOptions {
    LinkOptions {
        budget_bytes,
        calls: vec![1.0; networks],
        sequence: Vec::new(),
        shares_states: true,
        limits: DeviceLimits::GUARANTEED,
        solver: SolverKind::default(),
        options: Vec::new(),
        connections: Vec::new(),
    }
}

fn linked(bundles: &[(&str, &Path)], output: &Path, options: &LinkOptions) -> Result<LinkReport, LinkError> {
    let input = |(name, path): &(&str, &Path)| LinkInput { name: (*name).to_owned(), path: path.to_path_buf() };
    let inputs: Vec<_> = bundles.iter().map(input).collect();
    link(&inputs, output, options, &mut |_, _| ())
}

fn of_members(members: &[Member], output: &Path, budget_bytes: Option<u64>) -> Result<LinkReport, LinkError> {
    let bundles: Vec<_> = members.iter().map(|member| (member.name.as_str(), member.bundle.as_path())).collect();
    linked(&bundles, output, &link_options(members.len(), budget_bytes))
}

/// The smallest budget, which a refusal names.
fn smallest(bundles: &[(&str, &Path)], output: &Path) -> anyhow::Result<u64> {
    match linked(bundles, output, &link_options(bundles.len(), Some(1))) {
        Err(LinkError::TooSmall { smallest_bytes, .. }) => Ok(smallest_bytes),
        other => anyhow::bail!("a budget of one byte is not refused: {other:?}"),
    }
}

/// Runs networks at random; announces right, wrong or not at all, and cancels, fails or trims in between.
fn run_at_random(session: &mut Session, members: &[Member], seed: u64, runs: u32) -> anyhow::Result<()> {
    let mut random = SplitMix64(seed);
    let mut below = |end: usize| (random.next_u64() % end as u64) as usize;
    let mut current = 0;
    for run in 0..runs {
        let next = below(members.len());
        match below(8) {
            0 => {}
            1 => session.next(&members[below(members.len())].name)?,
            _ => session.next(&members[next].name)?,
        }
        let member = &members[current];
        match below(40) {
            0 => {
                let token = CancelToken::new();
                token.cancel();
                let request = RunRequest::new(&member.inputs).with_network(&member.name).with_cancel(&token);
                let cancelled = session.run(request);
                assert!(matches!(cancelled, Err(Error::Cancelled { .. })), "{cancelled:?}");
            }
            1 => drop(session.run_async(member.request())),
            2 => session.trim()?,
            3 => drop(
                session
                    .run(RunRequest::new(&member.inputs[1..]).with_network(&member.name))
                    .expect_err("an input is missing"),
            ),
            _ => {}
        }
        let outputs = session.run(member.request())?;
        assert!(outputs == member.outputs, "run {run}: `{}` gives other bits than its own bundle", member.name);
        current = next;
    }
    let memory = session.stats().memory;
    anyhow::ensure!(memory.measured_peak_bytes <= memory.declared_peak_bytes, "{memory:?}");
    Ok(())
}

#[test]
fn networks_give_the_bits_of_their_own_bundles_in_any_order() -> anyhow::Result<()> {
    let (folder, context) = (tempfile::tempdir()?, Context::open(None)?);
    let members: Vec<_> =
        NETWORKS.iter().map(|name| member(folder.path(), &context, name)).collect::<anyhow::Result<_>>()?;
    let output = folder.path().join("app.fmplan");
    let bundles: Vec<_> = members.iter().map(|member| (member.name.as_str(), member.bundle.as_path())).collect();
    let least = smallest(&bundles, &output)?;
    let mut kept = Vec::new();
    for (budget_bytes, runs) in [
        (Some(least), RUNS),
        (Some(least + 5 * PAGE_BYTES), FEWER_RUNS),
        (Some(least + 12 * PAGE_BYTES), FEWER_RUNS),
        (None, FEWER_RUNS),
    ] {
        let report = of_members(&members, &output, budget_bytes)?;
        let declared = report.linked.memory.total_bytes().context("no overflow")?;
        assert!(budget_bytes.is_none_or(|budget| declared <= budget), "{declared} {budget_bytes:?}");
        kept.push(report.linked.kept_slots);
        let mut session = Session::builder(&output).on(&context).open()?;
        run_at_random(&mut session, &members, 15, runs)?;
        assert!(matches!(session.run(&members[0].inputs), Err(Error::NetworkNotNamed { .. })));
        assert!(matches!(session.next("other"), Err(Error::UnknownNetwork { .. })));
    }
    assert!(kept.is_sorted() && kept[1] > 0, "a larger budget keeps more: {kept:?}");
    let before = std::fs::read(&output)?;
    of_members(&members, &output, None)?;
    assert!(std::fs::read(&output)? == before, "linking twice gives other bytes");
    Ok(())
}

#[test]
fn a_read_that_fails_leaves_all_networks_right() -> anyhow::Result<()> {
    let (folder, context) = (tempfile::tempdir()?, Context::open(None)?);
    let members: Vec<_> =
        NETWORKS[..2].iter().map(|name| member(folder.path(), &context, name)).collect::<anyhow::Result<_>>()?;
    let output = folder.path().join("app.fmplan");
    let bundles: Vec<_> = members.iter().map(|member| (member.name.as_str(), member.bundle.as_path())).collect();
    let least = smallest(&bundles, &output)?;
    of_members(&members, &output, Some(least + 3 * PAGE_BYTES))?;
    let source = Injector::new(&std::fs::read(&output)?);
    let mut session = Session::builder(Source::Blocking(source.clone())).on(&context).open()?;
    let run = |session: &mut Session, member: &Member| session.run(member.request());
    for round in 0..2 {
        let before = source.reads();
        for member in &members {
            assert!(run(&mut session, member)? == member.outputs, "round {round}");
        }
        let reads = source.reads() - before;
        for (read, misdeed) in (0..reads).zip([Misdeed::Error, Misdeed::Flip, Misdeed::Short].into_iter().cycle()) {
            source.arm(read, misdeed);
            let mut failed = None;
            for member in members.iter().cycle().take(4) {
                session.next(&members[0].name)?;
                match run(&mut session, member) {
                    Ok(outputs) => assert!(outputs == member.outputs, "read {read}"),
                    Err(error) => {
                        assert!(source.expects(misdeed, &error), "{error:?}");
                        assert!(failed.replace(error).is_none(), "one read fails");
                    }
                }
            }
            source.release();
        }
    }
    Ok(())
}

/// Tokens that the cache has room for.
const ROOM: u64 = 24;

fn entry(model: &Path, bundle: &Path, tokens: u64) -> anyhow::Result<()> {
    let mut options = CompileOptions { page_bytes: Some(PAGE_BYTES), ..options(Encoding::F32) };
    let sizes = [
        ("batch_size", 1),
        ("sequence_length", tokens),
        ("past_sequence_length", ROOM),
        ("total_sequence_length", ROOM),
    ];
    options.import.dims = sizes.map(|(name, size)| (name.to_owned(), size)).into();
    options.import.states.recognised = true;
    compile_quietly(model, bundle, &options)?;
    Ok(())
}

/// What a run is given that reads these tokens, the first of them at `position`.
fn step(tokens: &[i64], position: u64) -> Vec<(&'static str, Tensor)> {
    let end = position + tokens.len() as u64;
    let mask: Vec<i64> = (0..ROOM).map(|place| i64::from(place < end)).collect();
    let ids = Tensor::from_i64(&[1, tokens.len() as u64], tokens);
    vec![("input_ids", ids), ("attention_mask", Tensor::from_i64(&[1, ROOM], &mask))]
}

/// The most likely token behind the last one that was read.
fn chosen(outputs: &Outputs) -> i64 {
    let logits = outputs.get("logits").expect("the model has them");
    let values = logits.as_f32().expect("floats");
    let vocabulary = *logits.shape.last().expect("it has a vocabulary") as usize;
    let last = &values[values.len() - vocabulary..];
    let place = (0..last.len()).max_by(|a, b| last[*a].total_cmp(&last[*b]).then(b.cmp(a)));
    place.expect("a vocabulary") as i64
}

#[test]
fn a_prompt_at_once_and_tokens_one_by_one_share_a_cache() -> anyhow::Result<()> {
    let (folder, context) = (tempfile::tempdir()?, Context::open(None)?);
    let [prefill, decode, output] = ["prefill", "decode", "app"].map(|name| folder.path().join(name));
    let prompt = [5_i64, 9, 3, 70, 11, 2, 8, 40];
    for name in ["llama-fp32", "qwen3-int4"] {
        let model = models("decoders").join(format!("{name}.onnx"));
        entry(&model, &prefill, prompt.len() as u64)?;
        entry(&model, &decode, 1)?;
        let bundles = [("prefill", prefill.as_path()), ("decode", decode.as_path())];
        let least = smallest(&bundles, &output)?;
        for budget_bytes in [Some(least), None] {
            let report = linked(&bundles, &output, &link_options(2, budget_bytes))?;
            let shared = report.pages_given - report.linked.page_count;
            assert!(
                shared * 2 >= report.pages_given - 2,
                "{name}: {shared} of {} pages are stored once",
                report.pages_given
            );
            let mut session = Session::builder(&output).on(&context).open()?;
            let one = session.network("decode")?.states.len();
            assert_eq!(session.states().len(), one, "states are shared");
            let mut tokens = Vec::new();
            for at_once in [false, true] {
                session.reset_state()?;
                let mut text = prompt.to_vec();
                let mut read = 0;
                if at_once {
                    session.next("decode")?;
                    let outputs = session.run(RunRequest::new(&step(&prompt, 0)).with_network("prefill"))?;
                    (read, text) = (prompt.len(), [prompt.as_slice(), &[chosen(&outputs)]].concat());
                }
                while text.len() < prompt.len() + 8 {
                    session.next("decode")?;
                    let outputs =
                        session.run(RunRequest::new(&step(&text[read..=read], read as u64)).with_network("decode"))?;
                    read += 1;
                    if read >= text.len() {
                        text.push(chosen(&outputs));
                    }
                }
                tokens.push(text);
            }
            assert_eq!(tokens[0], tokens[1], "{name}: a prompt at once gives other tokens");
        }
        let apart = LinkOptions { shares_states: false, ..link_options(2, None) };
        linked(&bundles, &output, &apart)?;
        let session = Session::builder(&output).on(&context).open()?;
        assert_eq!(session.states().len(), 2 * session.network("decode")?.states.len(), "states are apart");
    }
    Ok(())
}

#[test]
fn bundles_that_do_not_fit_are_refused_by_name() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let [small, large, output] = ["small", "large", "app"].map(|name| folder.path().join(name));
    let model = models("tiny").join("vit.onnx");
    for (bundle, page_bytes) in [(&small, 32 << 10), (&large, 64 << 10)] {
        let options = CompileOptions { page_bytes: Some(page_bytes), ..options(Encoding::F32) };
        compile_quietly(&model, bundle, &options)?;
    }
    let refused = linked(&[("a", &small), ("b", &large)], &output, &link_options(2, None)).err();
    let text = refused.context("pages of different sizes are refused")?.to_string();
    let expected = "the networks have pages of different sizes (`a` 32.0 KiB, `b` 64.0 KiB): compile them anew with one --page size";
    assert_eq!(text, expected);
    linked(&[("a", &small), ("b", &small)], &output, &link_options(2, None))?;
    // A linked bundle cannot be linked again.
    let refused = linked(&[("a", &output), ("b", &small)], &small, &link_options(2, None)).err();
    let error = anyhow::Error::from(refused.context("a linked bundle is refused")?);
    assert!(format!("{error:#}").contains("the bundle holds several networks: a, b"), "{error:#}");
    Ok(())
}

fn connection(from: (u32, &str), to: (u32, &str)) -> ConnectionRequest {
    ConnectionRequest { from: (from.0, from.1.to_owned()), to: (to.0, to.1.to_owned()) }
}

/// An encoder's states go to its decoder, and a denoiser's sample to its own next step, on the device and through the host: under the
/// smallest budget, with a stranger in between.
#[test]
fn what_is_handed_over_on_the_device_has_the_bits_of_the_way_through_the_host() -> anyhow::Result<()> {
    let (folder, context) = (tempfile::tempdir()?, Context::open(None)?);
    let names = ["whisper-medium-encoder", "whisper-medium-decoder", "sd-unet", "vit"];
    let members: Vec<_> =
        names.iter().map(|name| member(folder.path(), &context, name)).collect::<anyhow::Result<_>>()?;
    let [plain, app] = ["plain.fmplan", "app.fmplan"].map(|name| folder.path().join(name));
    let bundles: Vec<_> = members.iter().map(|member| (member.name.as_str(), member.bundle.as_path())).collect();
    let connections = vec![
        connection((0, "last_hidden_state"), (1, "encoder_hidden_states")),
        connection((2, "out_sample"), (2, "sample")),
    ];
    let connected = LinkOptions { connections, ..link_options(members.len(), Some(1)) };
    let least = match linked(&bundles, &app, &connected) {
        Err(LinkError::TooSmall { smallest_bytes, .. }) => smallest_bytes,
        other => anyhow::bail!("a budget of one byte is not refused: {other:?}"),
    };
    let without = smallest(&bundles, &plain)?;
    assert!(least > without, "what lies between two networks is declared: {least} {without}");
    linked(&bundles, &app, &LinkOptions { budget_bytes: Some(least), ..connected.clone() })?;
    linked(&bundles, &plain, &link_options(members.len(), Some(without)))?;
    let [mut device, mut host] = [&app, &plain].map(|path| Session::builder(path).on(&context).open());
    let (device, host) = (device.as_mut().expect("it opens"), host.as_mut().expect("it opens"));
    let mut sample = None;
    for (step, position) in [2_usize, 0, 1, 2, 3, 1, 2, 0, 3, 2, 1].into_iter().enumerate() {
        let Member { name, inputs, .. } = &members[position];
        let taken = |name: &str| (name == "encoder_hidden_states" && position == 1) || (name == "sample" && step > 0);
        let given: Vec<_> = inputs.iter().filter(|(name, _)| !taken(name)).cloned().collect();
        let mut through_host = given.clone();
        if position == 1 {
            let hidden = members[0].outputs.get("last_hidden_state").context("the encoder gives it")?;
            through_host.push(("encoder_hidden_states".to_owned(), hidden.clone()));
        }
        through_host.extend(sample.clone().filter(|_| position == 2).map(|value| ("sample".to_owned(), value)));
        let expected = host.run(RunRequest::new(&through_host).with_network(name))?;
        let found = device.run(RunRequest::new(&given).with_network(name).with_connected_outputs())?;
        assert!(found == expected, "step {step}: `{name}` gives other bits than through the host");
        sample = expected.get("out_sample").cloned().or(sample);
    }
    let memory = device.stats().memory;
    assert!(memory.measured_peak_bytes <= memory.declared_peak_bytes, "{memory:?}");
    Ok(())
}

#[test]
fn connections_that_cannot_be_are_refused_by_name() -> anyhow::Result<()> {
    let (folder, context) = (tempfile::tempdir()?, Context::open(None)?);
    let names = ["whisper-medium-encoder", "gptneo-s", "resnet50", "vit"];
    let members: Vec<_> =
        names.iter().map(|name| member(folder.path(), &context, name)).collect::<anyhow::Result<_>>()?;
    let bundles: Vec<_> = members.iter().map(|member| (member.name.as_str(), member.bundle.as_path())).collect();
    let output = folder.path().join("app.fmplan");
    let refused = |requests: &[ConnectionRequest]| -> anyhow::Result<String> {
        let options = LinkOptions { connections: requests.to_vec(), ..link_options(members.len(), None) };
        let error = linked(&bundles, &output, &options).err().context("it is refused")?;
        Ok(format!("{:#}", anyhow::Error::from(error)))
    };
    let ids = members[1].inputs.iter().find(|(name, _)| name == "input_ids").context("it has ids")?;
    assert_eq!(ids.1.element, flashmem_runtime::ElementType::I64);
    let cases = [
        (
            connection((0, "other"), (2, "image")),
            "network `whisper-medium-encoder` has no output `other`; it has last_hidden_state",
        ),
        (connection((3, "logits"), (2, "picture")), "network `resnet50` has no input `picture`; it has image"),
        (
            connection((3, "logits"), (2, "image")),
            "`vit.logits` cannot be handed to `resnet50.image` on the device: shape [1, 10], and the input takes [1, 3, 64, 64]",
        ),
        (
            connection((3, "logits"), (1, "input_ids")),
            "`vit.logits` cannot be handed to `gptneo-s.input_ids` on the device: elements of type F32, and the input takes I64",
        ),
    ];
    for (request, expected) in cases {
        assert_eq!(refused(&[request])?, expected);
    }
    Ok(())
}
