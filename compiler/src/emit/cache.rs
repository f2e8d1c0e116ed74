//! Linked kernels, each linked once however many candidates of a compilation call it, and unrolled once however many expressions
//! it is linked with.

use super::error::EmitError;
use super::expression::Expression;
use super::link::{Form, Linked, link_text, own_text};
use super::reflect::Arithmetic;
use super::tokens::Text;
use crate::kernels::{Kernel, Math};
use flashmem_plan_format::plan::{Cooperative, Encoding};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// What a linked kernel follows from: the kernel, how its weights are stored, whether its calls know a scale for halves, and the
/// expression.
pub type LinkKey = (Kernel, Option<Encoding>, bool, Option<Expression>);

/// Whether a kernel has a cooperative source: of weights, only halves are halves as they are stored.
pub fn is_cooperative(kernel: Kernel, encoding: Option<Encoding>) -> bool {
    kernel.row().cooperative && encoding.is_none_or(|of| of == Encoding::F16)
}

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
    pub fn get(&self, key: LinkKey) -> Result<Rc<Linked>, EmitError> {
        if let Some(linked) = self.linked.borrow().get(&key) {
            return Ok(Rc::clone(linked));
        }
        let (kernel, encoding, has_scale, ref expression) = key;
        let expression = expression.as_ref();
        let link =
            |arithmetic| link_text(kernel, (encoding, arithmetic), expression, self.own(kernel, encoding, arithmetic)?);
        let mut linked = link(Arithmetic::Single)?;
        if self.math == Math::Mixed && is_cooperative(kernel, encoding) {
            let other = link(if has_scale { Arithmetic::Scaled } else { Arithmetic::Cooperative })?;
            if !other.has_layout_of(&linked) {
                let [claimed, found] = [&linked, &other].map(|it| format!("{:?}", it.block));
                return Err(EmitError::Claim { kernel, what: "the layout of its cooperative source", claimed, found });
            }
            linked.cooperative = Some(Cooperative { source: other.source, workgroup_bytes: other.workgroup_bytes });
        }
        let linked = Rc::new(linked);
        self.linked.borrow_mut().insert(key, Rc::clone(&linked));
        Ok(linked)
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
