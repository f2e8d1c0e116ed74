//! Linked kernels, each linked once however many candidates of a compilation call it, and unrolled once however many expressions
//! it is linked with.

use super::tokens::Text;
use super::{EmitError, Expression, Form, Linked, link_text, own_text};
use crate::kernels::Kernel;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// A kernel and what is linked with it.
type Key = (Kernel, Option<Expression>);

/// Bodies without an expression, and linked kernels.
#[derive(Debug, Default)]
pub struct KernelCache {
    own: RefCell<BTreeMap<Kernel, Text>>,
    linked: RefCell<BTreeMap<Key, Rc<Linked>>>,
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
        let linked = Rc::new(link_text(kernel, expression, self.own(kernel)?)?);
        self.linked.borrow_mut().insert(key, Rc::clone(&linked));
        Ok(linked)
    }
    /// A kernel's own text, unrolled on first use.
    fn own(&self, kernel: Kernel) -> Result<Text, EmitError> {
        if let Some(text) = self.own.borrow().get(&kernel) {
            return Ok(text.clone());
        }
        let text = own_text(kernel, Form::Unrolled)?;
        self.own.borrow_mut().insert(kernel, text.clone());
        Ok(text)
    }
}
