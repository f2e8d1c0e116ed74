//! Linked kernels, each linked once however many candidates of a compilation call it, and unrolled once however many expressions
//! it is linked with.

use super::error::EmitError;
use super::expression::Expression;
use super::link::{Form, Linked, link_text, own_text};
use super::tokens::Text;
use crate::kernels::Kernel;
use flashmem_plan_format::plan::Encoding;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// What a linked kernel follows from.
pub type LinkKey = (Kernel, Option<Encoding>, Option<Expression>);

/// Linked kernels by kernel, encoding of their weights and expression.
#[derive(Debug, Default)]
pub struct KernelCache {
    own: RefCell<BTreeMap<(Kernel, Option<Encoding>), Text>>,
    linked: RefCell<BTreeMap<LinkKey, Rc<Linked>>>,
}

impl KernelCache {
    /// The linked form of a kernel, linked on first use.
    ///
    /// # Errors
    /// See [`EmitError`].
    pub fn get(
        &self,
        kernel: Kernel,
        encoding: Option<Encoding>,
        expression: Option<&Expression>,
    ) -> Result<Rc<Linked>, EmitError> {
        let key = (kernel, encoding, expression.cloned());
        if let Some(linked) = self.linked.borrow().get(&key) {
            return Ok(Rc::clone(linked));
        }
        let linked = Rc::new(link_text(kernel, encoding, expression, self.own(kernel, encoding)?)?);
        self.linked.borrow_mut().insert(key, Rc::clone(&linked));
        Ok(linked)
    }
    /// A kernel's own text, unrolled on first use.
    fn own(&self, kernel: Kernel, encoding: Option<Encoding>) -> Result<Text, EmitError> {
        if let Some(text) = self.own.borrow().get(&(kernel, encoding)) {
            return Ok(text.clone());
        }
        let text = own_text(kernel, encoding, Form::Unrolled)?;
        self.own.borrow_mut().insert((kernel, encoding), text.clone());
        Ok(text)
    }
}
