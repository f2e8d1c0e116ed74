//! 64-bit integers on a device of 32 bits: a run that would need more fails by the node's name, and the next one is right.

use flashmem_plan_format::plan::Encoding;
use flashmem_runtime::{Context, Error, FileSource, Outputs, Session, Source, Tensor};
use flashmem_tests::{compile_quietly, models, options};
use std::sync::Arc;

/// A session of an operator model, and the nodes that its runs check.
fn session(name: &str) -> anyhow::Result<(Session, Vec<String>)> {
    let folder = tempfile::tempdir()?;
    let bundle = folder.path().join("a.fmplan");
    let model = models("ops").join(format!("{name}.onnx"));
    let compiled = compile_quietly(&model, &bundle, &options(Encoding::F32))?;
    let source = Arc::new(FileSource::open(&bundle)?);
    let session = Session::builder(Source::Blocking(source)).on(&Context::open(None)?).open()?;
    Ok((session, compiled.plan.checks.iter().map(|check| compiled.plan.name(check.node).to_owned()).collect()))
}

fn longs(outputs: &Outputs) -> Vec<i64> {
    outputs.tensors[0].1.as_i64().expect("the output is of 64-bit integers")
}

fn refused(result: Result<Outputs, Error>, node: &str) {
    match result {
        Err(Error::IntegerOverflow { node: found }) => assert_eq!(found, node),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_sum_beyond_32_bits_fails_the_run_and_not_the_session() -> anyhow::Result<()> {
    let (mut session, checks) = session("add_i64")?;
    assert_eq!(checks, ["/add_0"]);
    let largest = i64::from(i32::MAX);
    let inputs = |first, second: i64| {
        let mut values = [0; 15];
        (values[0], values[14]) = (first, largest);
        [("x0", Tensor::from_i64(&[3, 5], &values)), ("x1", Tensor::from_i64(&[5], &[second, 0, 0, 0, 0]))]
    };
    assert_eq!(longs(&session.run(&inputs(largest - 1, 1))?)[0], largest);
    refused(session.run(&inputs(largest, 1)), "/add_0");
    refused(session.run(&inputs(i64::from(i32::MIN), -1)), "/add_0");
    assert_eq!(longs(&session.run(&inputs(-5, 7))?)[..2], [2, 0]);
    Ok(())
}

#[test]
fn a_float_beyond_32_bits_becomes_no_integer() -> anyhow::Result<()> {
    let (mut session, checks) = session("cast_f32_i64")?;
    assert_eq!(checks, ["/cast_0"]);
    let inputs = |first| [("x0", Tensor::from_f32(&[3, 9], &[&[first][..], &[0.0; 26]].concat()))];
    assert_eq!(longs(&session.run(&inputs(-2_147_483_648.0))?)[0], -2_147_483_648);
    refused(session.run(&inputs(3e9)), "/cast_0");
    refused(session.run(&inputs(-3e9)), "/cast_0");
    // ONNX leaves these undefined.
    for number in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e20, -1e20] {
        assert_eq!(longs(&session.run(&inputs(number))?)[0], -2_147_483_648, "{number}");
    }
    Ok(())
}

#[test]
fn a_long_sum_beyond_32_bits_fails_the_run() -> anyhow::Result<()> {
    let (mut session, checks) = session("cumsum_i64")?;
    assert_eq!(checks.len(), 1);
    let port = session.inputs().remove(0);
    let count = port.shape.iter().product::<u64>() as usize;
    session.run(&[(port.name.clone(), Tensor::from_i64(&port.shape, &vec![1000; count]))])?;
    refused(session.run(&[(port.name, Tensor::from_i64(&port.shape, &vec![2_000_000_000; count]))]), &checks[0]);
    Ok(())
}

#[test]
fn small_integers_need_no_check() -> anyhow::Result<()> {
    for name in ["equal_i64_bool_output", "argmax_last", "gather_rows", "cast_i64_i32_add"] {
        assert_eq!(session(name)?.1, Vec::<String>::new(), "{name}");
    }
    Ok(())
}
