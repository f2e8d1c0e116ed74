//! Linked kernels, each linked once however many candidates of a compilation call it.

use super::{EmitError, Expression, Linked, link};
use crate::kernels::Kernel;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Linked kernels by kernel and expression.
#[derive(Debug, Default)]
pub struct KernelCache {
    linked: RefCell<BTreeMap<(Kernel, Option<Expression>), Rc<Linked>>>,
}

impl KernelCache {
    /// The linked form of a kernel, linked on first use.
    ///
    /// # Errors
    /// See [`EmitError`].
    pub fn get(&self, kernel: Kernel, expression: Option<&Expression>) -> Result<Rc<Linked>, EmitError> {
        let key = (kernel, expression.cloned());
        if let Some(linked) = self.linked.borrow().get(&key) {
            return Ok(Rc::clone(linked));
        }
        let linked = Rc::new(link(kernel, expression)?);
        self.linked.borrow_mut().insert(key, Rc::clone(&linked));
        Ok(linked)
    }
}
