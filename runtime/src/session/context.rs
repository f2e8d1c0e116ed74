//! A device that several sessions share, with the pipelines that they have in common.
//!
//! A session opened on its own asks for just the limits that its plan needs. A context asks for all that the adapter has,
//! and every plan is checked against these. It deliberately holds no buffers: memory belongs to sessions, which a budget may limit
//! together.

use crate::api::Error;
use crate::device::{Budget, Gpu, Reservation, adapter, limits_for};
use crate::loaded::KnownPipelines;
use flashmem_plan_format::plan::Requirements;
use std::sync::Arc;

/// An open device. Sessions on it may outlive it.
pub struct Context {
    gpu: Gpu,
    pipelines: Arc<KnownPipelines>,
    budget: Option<Arc<Budget>>,
}

impl Context {
    /// Opens the first adapter whose name contains `adapter` (in any case), or hardware before software.
    ///
    /// # Errors
    /// No such adapter, or one that gives no device.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn open(adapter: Option<&str>) -> Result<Self, Error> {
        pollster::block_on(Self::open_async(adapter))
    }

    /// Opens a device where blocking is not allowed.
    ///
    /// # Errors
    /// As for blocking.
    pub async fn open_async(adapter: Option<&str>) -> Result<Self, Error> {
        let chosen = adapter::choose(adapter).await?;
        let gpu = adapter::open_whole(chosen).await?;
        Ok(Self { gpu, pipelines: Arc::default(), budget: None })
    }

    /// Lets the sessions that are opened on it from now on declare at most so many bytes together, everything counted. One that does not
    /// fit is refused before it allocates ([`Error::SharedBudget`], which names who holds what), and so is the next run of a session
    /// that was trimmed. What frees: dropping a session, and [`Session::trim`](crate::Session::trim).
    #[must_use]
    pub fn with_budget(self, budget_bytes: u64) -> Self {
        Self { budget: Some(Budget::new(budget_bytes)), ..self }
    }

    /// What sessions hold of the budget, by their declarations; `None` without a budget.
    pub fn reserved_bytes(&self) -> Option<u64> {
        Some(self.budget.as_ref()?.held_bytes())
    }

    /// Name of the adapter.
    pub fn adapter(&self) -> &str {
        &self.gpu.info.name
    }

    /// Number of different pipelines that were created.
    pub fn pipelines(&self) -> usize {
        self.pipelines.len()
    }

    /// The device, if it covers `requirements`.
    pub(crate) fn gpu_for(&self, requirements: &Requirements) -> Result<Gpu, Error> {
        limits_for(requirements, &self.gpu.info, &self.gpu.device.limits())?;
        Ok(self.gpu.clone())
    }

    /// A session's part of the budget, if there is one; `name` is how others are told of it.
    pub(crate) fn reserve(&self, name: &str, bytes: u64) -> Result<Option<Reservation>, Error> {
        self.budget.as_ref().map(|budget| budget.reserve(name, bytes)).transpose()
    }

    pub(crate) fn known_pipelines(&self) -> Arc<KnownPipelines> {
        Arc::clone(&self.pipelines)
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::Context;
    use crate::api::{Error, RunRequest, Tensor};
    use crate::{Session, Source};
    use flashmem_plan_format::testing::{self, linked};
    use flashmem_plan_format::{MemorySource, OpenedBundle};
    use std::sync::Arc;

    fn open(context: &Context, bundle: &[u8]) -> Result<Session, Error> {
        let source = Source::Blocking(Arc::new(MemorySource::from(bundle.to_vec())));
        Session::builder(source).on(context).open()
    }

    fn declared(bundle: &[u8]) -> u64 {
        let opened = OpenedBundle::open(&MemorySource::from(bundle.to_vec())).unwrap();
        opened.bundle.plan.memory.total_bytes().unwrap()
    }

    fn inputs() -> [(&'static str, Tensor); 2] {
        [("x", Tensor::from_f32(&[1, 64], &[0.5; 64])), ("ids", Tensor::from_i64(&[2], &[0, 1]))]
    }

    #[test]
    fn sessions_of_two_bundles_stay_within_a_budget_and_take_turns_by_trimming() {
        let (one, several) = (testing::small_bundle(), linked::linked_bundle());
        let (small, large) = (declared(&one), declared(&several));
        let budget_bytes = small + large - 1;
        let context = Context::open(None).unwrap().with_budget(budget_bytes);
        let held = || context.reserved_bytes().unwrap();
        let mut first = open(&context, &one).unwrap();
        let expected = first.run(&inputs()).unwrap();
        assert_eq!(held(), small);
        let refused = open(&context, &several).err().unwrap();
        let name = testing::small_plan().provenance.model;
        assert!(
            matches!(&refused, Error::SharedBudget { needed_bytes, budget_bytes: limit, held }
                if (*needed_bytes, *limit) == (large, budget_bytes) && *held == [(name, small)]),
            "{refused}"
        );
        assert_eq!(held(), small, "who is refused holds nothing");
        first.trim().unwrap();
        let rest = held();
        assert!(rest < small, "{rest}");
        let mut second = open(&context, &several).unwrap();
        let of_second = second.run(RunRequest::new(&inputs()).with_network("second")).unwrap();
        assert!(held() <= budget_bytes);
        // The trimmed one is refused, not lost, until the other gives way.
        let refused = first.run(&inputs()).unwrap_err();
        assert!(
            matches!(&refused, Error::SharedBudget { held, .. } if *held == [("first+second".to_owned(), large)]),
            "{refused}"
        );
        assert_eq!(held(), rest + large);
        second.trim().unwrap();
        assert_eq!(first.run(&inputs()).unwrap(), expected);
        assert!(matches!(
            second.run(RunRequest::new(&inputs()).with_network("second")),
            Err(Error::SharedBudget { .. })
        ));
        drop(first);
        assert_eq!(second.run(RunRequest::new(&inputs()).with_network("second")).unwrap(), of_second);
        drop(second);
        assert_eq!(held(), 0);
    }
}
