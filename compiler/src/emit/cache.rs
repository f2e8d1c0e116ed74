//! Linked kernels, each linked once however many candidates of a compilation call it, and unrolled once however many expressions
//! it is linked with.

use super::error::EmitError;
use super::expression::Expression;
use super::link::{Arithmetic, Form, Linked, link_text, linked, own_text};
use super::tokens::Text;
use crate::kernels::{Kernel, Math};
use flashmem_plan_format::plan::{Cooperative, Encoding};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// What a linked kernel follows from.
pub type LinkKey = (Kernel, Option<Encoding>, Option<Expression>);

/// What a kernel's own text follows from.
type OwnKey = (Kernel, Option<Encoding>, Arithmetic);

/// Linked kernels by kernel, encoding of their weights and expression.
#[derive(Debug, Default)]
pub struct KernelCache {
    math: Math,
    own: RefCell<BTreeMap<OwnKey, Text>>,
    linked: RefCell<BTreeMap<LinkKey, Rc<Linked>>>,
}

impl KernelCache {
    /// An empty one, for kernels that compute in `math`.
    pub fn new(math: Math) -> Self {
        Self { math, ..Self::default() }
    }

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
        let text = |arithmetic| link_text(kernel, encoding, expression, self.own(kernel, encoding, arithmetic)?);
        let (source, reflected) = text(Arithmetic::Single)?;
        let cooperative = match self.cooperative(kernel, encoding) {
            true => Some(text(Arithmetic::Cooperative)?),
            false => None,
        };
        if let Some((_, other)) = cooperative.as_ref().filter(|(_, other)| !other.has_layout_of(&reflected)) {
            let [claimed, found] = [&reflected, other].map(|it| format!("{:?}", it.block));
            return Err(EmitError::Claim { kernel, what: "the layout of its cooperative source", claimed, found });
        }
        let cooperative =
            cooperative.map(|(source, other)| Cooperative { source, workgroup_bytes: other.workgroup_bytes });
        let linked = Rc::new(linked(kernel, expression, source, reflected, cooperative));
        self.linked.borrow_mut().insert(key, Rc::clone(&linked));
        Ok(linked)
    }

    /// Whether a kernel gets a cooperative source: of weights, only halves are halves as they are stored.
    fn cooperative(&self, kernel: Kernel, encoding: Option<Encoding>) -> bool {
        self.math == Math::Mixed && kernel.row().cooperative && encoding.is_none_or(|of| of == Encoding::F16)
    }

    /// A kernel's own text, unrolled on first use.
    fn own(&self, kernel: Kernel, encoding: Option<Encoding>, arithmetic: Arithmetic) -> Result<Text, EmitError> {
        let key = (kernel, encoding, arithmetic);
        if let Some(text) = self.own.borrow().get(&key) {
            return Ok(text.clone());
        }
        let text = own_text(kernel, encoding, arithmetic, Form::Unrolled)?;
        self.own.borrow_mut().insert(key, text.clone());
        Ok(text)
    }
}
