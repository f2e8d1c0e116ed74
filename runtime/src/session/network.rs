//! Runs of a bundle that holds several networks, which take turns in one arena.
//!
//! Any order is right: a run leaves out the loads of pages that are there, whoever brought them. Which network comes next can be
//! announced, so that the run before loads for it when it no longer needs all slots. A run that fails leaves nothing to rely on, so
//! that the next run of every network reads everything again. What a completed run hands to others on the device stays there until
//! it is handed anew, whatever fails in between.

use super::run::{Condition, Session};
use crate::api::{Error, NetworkInfo, Outputs, RunRequest};
use crate::loaded::HeldRows;
use crate::replay::{self, Ports};
use crate::time::{Stopwatch, Wait};
use std::sync::Arc;

impl Session {
    /// The networks of a bundle that was linked of several, in order; nothing of a bundle of one.
    pub fn networks(&self) -> Vec<NetworkInfo> {
        (0..self.loaded.networks.list.len()).map(|position| self.loaded.networks.info(position)).collect()
    }

    /// One of several networks.
    ///
    /// # Errors
    /// [`Error::UnknownNetwork`].
    pub fn network(&self, name: &str) -> Result<NetworkInfo, Error> {
        Ok(self.loaded.networks.info(self.loaded.networks.position(name)?))
    }

    /// Says which network will run after the next run, so that this can load for it in its last steps. Only a hint: any network
    /// may run then, and gives the same. It counts for one run.
    ///
    /// # Errors
    /// [`Error::UnknownNetwork`].
    pub fn next(&mut self, name: &str) -> Result<(), Error> {
        self.announced = Some(self.loaded.networks.position(name)?);
        Ok(())
    }

    /// Runs one of several networks once.
    pub(super) async fn run_one(
        &mut self,
        name: &str,
        mut request: RunRequest<'_>,
        wait: Wait,
    ) -> Result<Outputs, Error> {
        let position = self.loaded.networks.position(name)?;
        let bundle = Arc::clone(&self.loaded.networks.list[position].bundle);
        let networks = &self.loaded.networks;
        let inputs = replay::bind_inputs(&bundle.plan, &request.inputs, &|input| networks.handed_to(position, input))?;
        replay::check_inputs(&bundle.plan, &inputs)?;
        let handed = networks.handed_by(position);
        let is_staying = |output: &usize| !request.connected_outputs && handed.iter().any(|(at, _)| at == output);
        let ports = Ports { inputs, staying: (0..bundle.plan.outputs.len()).filter(is_staying).collect() };
        if !self.prepare(&wait).await? {
            self.loaded.networks.forget();
        }
        self.select(position);
        let running = Stopwatch::start();
        let commands = self.loaded.networks.commands(self.announced.take());
        let (list, buffers) = (commands.list(), &mut self.buffers);
        let result = replay::run((&self.loaded, &self.input), list, buffers, &ports, &wait, &mut request).await;
        let mut outputs = self.after_run(running, result, &wait).await?;
        self.loaded.networks.follow(&commands);
        replay::check_outputs(&bundle.plan, &outputs)?;
        self.commit(&handed)?;
        self.loaded.networks.hand_over(&handed);
        let mut position = 0..;
        outputs.tensors.retain(|_| position.next().is_some_and(|output: usize| !ports.staying.contains(&output)));
        Ok(outputs)
    }

    /// Makes a network the one that runs. Rows that another one has put into the input staging buffer are none of its.
    fn select(&mut self, position: usize) {
        debug_assert_eq!(self.condition, Condition::Unsettled);
        self.loaded.select(position);
        if !Arc::ptr_eq(&self.input.bundle, &self.loaded.bundle) {
            self.input.bundle = Arc::clone(&self.loaded.bundle);
            self.buffers.rows = HeldRows::none(&self.loaded.bundle.plan);
        }
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use crate::api::{CancelToken, ConnectionInfo, Error, InputError, SelfTestError, Tensor};
    use crate::{Outputs, RunRequest, Session, Source};
    use flashmem_plan_format::MemorySource;
    use flashmem_plan_format::testing::linked::{bundle_of, connected, linked, linked_bundle_with_golden};
    use std::sync::Arc;

    fn session(bundle: Vec<u8>) -> Session {
        Session::builder(Source::Blocking(Arc::new(MemorySource::from(bundle)))).open().unwrap()
    }

    fn ids() -> (&'static str, Tensor) {
        ("ids", Tensor::from_i64(&[2], &[0, 1]))
    }

    fn x(first: f32) -> (&'static str, Tensor) {
        let values: Vec<f32> = (0_u8..64).map(|place| first + f32::from(place) / 7.0).collect();
        ("x", Tensor::from_f32(&[1, 64], &values))
    }

    fn y(outputs: &Outputs) -> (&'static str, Tensor) {
        ("x", outputs.get("y").expect("it was asked for").clone())
    }

    /// Runs with all outputs.
    fn run(session: &mut Session, network: &str, inputs: &[(&'static str, Tensor)]) -> Result<Outputs, Error> {
        session.run(RunRequest::new(inputs).with_network(network).with_connected_outputs())
    }

    #[test]
    fn what_is_handed_over_on_the_device_has_the_bits_of_the_way_through_the_host() {
        let (mut device, mut host) = (session(bundle_of(&connected())), session(bundle_of(&linked())));
        let info = device.network("first").unwrap().connections;
        let source = |network: &str| ConnectionInfo { input: "x".into(), network: network.into(), output: "y".into() };
        assert_eq!(info, [source("second"), source("first")]);
        let mut given = x(0.5);
        for (step, network) in ["first", "second", "first", "first", "second", "second"].into_iter().enumerate() {
            let expected = run(&mut host, network, &[given.clone(), ids()]).unwrap();
            let first = [given, ids()];
            let found = run(&mut device, network, if step == 0 { &first } else { &first[1..] }).unwrap();
            // `second` does not hand to itself: its last run takes what `first` has left, again.
            given = if step == 4 { first[0].clone() } else { y(&expected) };
            assert_eq!(found, expected, "step {step}");
            if step == 2 {
                device.trim().unwrap();
                device.reset_state().unwrap();
            }
        }
        let memory = device.stats().memory;
        assert!(memory.measured_peak_bytes <= memory.declared_peak_bytes, "{memory:?}");
    }

    #[test]
    fn each_network_that_has_golden_values_is_tested() {
        let plan_golden = flashmem_plan_format::testing::golden();
        let values = |bytes: &[u8]| -> Vec<f32> {
            bytes.as_chunks::<4>().0.iter().map(|value| f32::from_le_bytes(*value)).collect()
        };
        // The pages of `second` are others than those of a bundle of its plan alone, so its outputs are, too.
        let given = [("x", Tensor::from_f32(&[1, 64], &values(&plan_golden.inputs[0]))), ids()];
        let mut golden = plan_golden;
        golden.inputs[1].clone_from(&given[1].1.bytes);
        let outputs = run(&mut session(bundle_of(&linked())), "second", &given).unwrap();
        golden.outputs = vec![outputs.tensors[0].1.bytes.clone()];
        session(linked_bundle_with_golden(golden.clone())).self_test().unwrap();
        golden.outputs[0][..4].copy_from_slice(&1e9_f32.to_le_bytes());
        let wrong = session(linked_bundle_with_golden(golden)).self_test().unwrap_err();
        let named = |output: &str| output == "second.y";
        assert!(
            matches!(&wrong, Error::SelfTest(SelfTestError::Tolerance { run: 1, output, .. }) if named(output)),
            "{wrong}"
        );
        let none = session(bundle_of(&linked())).self_test().unwrap_err();
        assert!(matches!(none, Error::SelfTest(SelfTestError::NoGolden)), "{none}");
    }

    #[test]
    fn connected_outputs_stay_on_the_device_unless_they_are_asked_for() {
        let mut session = session(bundle_of(&connected()));
        assert_eq!(session.run(RunRequest::new(&[x(1.0), ids()]).with_network("first")).unwrap().tensors, []);
        let stayed = run(&mut session, "second", &[ids()]).unwrap();
        let all = run(&mut session, "first", &[x(1.0), ids()]).unwrap();
        assert_eq!(run(&mut session, "second", &[y(&all), ids()]).unwrap(), stayed);
    }

    #[test]
    fn an_input_that_nothing_was_handed_to_is_refused_and_a_given_tensor_goes_first() {
        let mut session = session(bundle_of(&connected()));
        let expected = ["`second.y`", "`first.y`"].map(str::to_owned);
        let refused = run(&mut session, "first", &[ids()]).unwrap_err();
        assert!(
            matches!(&refused, Error::Input(InputError::NotHanded { name, sources }) if name == "x" && *sources == expected),
            "{refused}"
        );
        let token = CancelToken::new();
        token.cancel();
        let given = [x(1.0), ids()];
        session.run(RunRequest::new(&given).with_network("first").with_cancel(&token)).unwrap_err();
        run(&mut session, "second", &[ids()]).expect_err("the run that would have handed it over did not complete");
        let one = y(&run(&mut session, "first", &[x(1.0), ids()]).unwrap());
        // A tensor that is given counts for its run only, and a run that fails hands over nothing.
        let other = run(&mut session, "second", &[x(9.0), ids()]).unwrap();
        session.run(RunRequest::new(&given[1..]).with_network("first").with_cancel(&token)).unwrap_err();
        let handed = run(&mut session, "second", &[ids()]).unwrap();
        assert_eq!(handed, run(&mut session, "second", &[one, ids()]).unwrap());
        assert_ne!(handed, other);
    }
}
