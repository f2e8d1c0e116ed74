//! Every interleaving of the hand-over between a replay and its readers, for small cases, with loom's locks.
//!
//! The file under test is the runtime's own, compiled here against another `sync`. Loom explores all schedules and fails on
//! a deadlock, so a lost wake-up cannot hide; its timed waits never time out. It deliberately covers no I/O and no device.

#[path = "../src/pages/hand_off.rs"]
mod hand_off;

mod sync {
    pub(crate) use loom::sync::{Condvar, Mutex, MutexGuard};
}

use hand_off::{HandOff, Task};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

const FOREVER: Duration = Duration::from_secs(3600);

/// A view that counts how many are alive.
struct View {
    alive: Arc<AtomicU32>,
    /// The load that filled it.
    load: Option<u32>,
}

impl Drop for View {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Ordering::SeqCst);
    }
}

type Tested = HandOff<u32, View, u32>;

struct Case {
    tested: loom::sync::Arc<Tested>,
    alive: Arc<AtomicU32>,
    readers: Vec<loom::thread::JoinHandle<()>>,
}

impl Case {
    /// Readers that fail load `failing`.
    fn start(places: u32, readers: u32, failing: Option<u32>) -> Self {
        let tested = loom::sync::Arc::new(Tested::new(places, 2, 1));
        let reader = |tested: loom::sync::Arc<Tested>| {
            move || {
                loop {
                    let (load, mut view) = match tested.next(|_| {}) {
                        Task::End => return,
                        Task::Announce(what) => {
                            assert!(what >= 100);
                            continue;
                        }
                        Task::Load { load, what, view, announce } => {
                            assert_eq!(what, load + 100);
                            // Nothing is announced that is read already.
                            assert!(announce.into_iter().flatten().all(|what| what > load + 100));
                            (load, view)
                        }
                    };
                    view.load = Some(load);
                    // A reader lets go of the view of a failed load before it hands the failure back.
                    let read = if failing == Some(load) { Err(load) } else { Ok(()) };
                    tested.arrive(load, read.map(move |()| view));
                }
            }
        };
        let readers = (0..readers).map(|_| loom::thread::spawn(reader(tested.clone()))).collect();
        Self { tested, alive: Arc::default(), readers }
    }

    fn view(&self) -> View {
        self.alive.fetch_add(1, Ordering::SeqCst);
        View { alive: self.alive.clone(), load: None }
    }

    /// Begins `loads` loads and gives all places.
    fn begin(&self, loads: u32, places: u32) {
        self.tested.begin(&(100..100 + loads).collect());
        (0..places).for_each(|place| self.tested.give(place, self.view()));
    }

    fn take(&self, load: u32) -> Result<View, u32> {
        loop {
            if let Some(taken) = self.tested.take(load, FOREVER) {
                return taken;
            }
        }
    }

    /// Takes loads in order and gives their places again, as a replay does.
    fn replay(&self, loads: u32, places: u32) {
        for load in 0..loads {
            let view = self.take(load).unwrap_or_else(|load| panic!("load {load} failed"));
            assert_eq!(view.load, Some(load));
            if load + places < loads {
                drop(view);
                self.tested.give(load % places, self.view());
            }
        }
    }

    /// Stops the sequence; no view may be left.
    fn stop(&self) {
        self.tested.stop();
        while !self.tested.is_idle(FOREVER) {}
        assert_eq!(self.alive.load(Ordering::SeqCst), 0, "idle readers have no views");
    }

    fn close(self) {
        self.tested.close();
        self.readers.into_iter().for_each(|reader| reader.join().unwrap());
    }
}

fn check(case: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    // More preemptions than this find nothing new in protocols of one lock, and take hours.
    model.preemption_bound = Some(2);
    model.check(case);
}

#[test]
fn loads_arrive_in_order_through_one_place() {
    check(|| {
        let case = Case::start(1, 1, None);
        case.begin(3, 1);
        case.replay(3, 1);
        case.stop();
        case.close();
    });
}

#[test]
fn two_readers_share_two_places() {
    check(|| {
        let case = Case::start(2, 2, None);
        case.begin(3, 2);
        case.replay(3, 2);
        case.stop();
        case.close();
    });
}

#[test]
fn a_failed_load_is_given_once_and_in_order() {
    check(|| {
        let case = Case::start(2, 2, Some(1));
        case.begin(4, 2);
        assert!(case.take(0).is_ok_and(|view| view.load == Some(0)));
        assert!(case.take(1).is_err_and(|load| load == 1));
        assert!(case.tested.take(1, Duration::ZERO).is_none());
        case.stop();
        case.close();
    });
}

#[test]
fn a_sequence_that_is_left_early_gives_all_views_back_and_the_next_one_works() {
    check(|| {
        let case = Case::start(1, 1, None);
        case.begin(2, 1);
        case.stop();
        case.begin(1, 1);
        case.replay(1, 1);
        case.stop();
        case.close();
    });
}

#[test]
fn readers_end_while_loads_are_left() {
    check(|| {
        let case = Case::start(2, 2, None);
        case.begin(3, 2);
        case.close();
    });
}
