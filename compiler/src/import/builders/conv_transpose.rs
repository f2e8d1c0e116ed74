//! ConvTranspose with `output_shape`, or with automatic padding, which makes it input · stride: the pads follow from it, as ONNX says.
//!
//! total = stride · (input − 1) + output_padding + (kernel − 1) · dilation + 1 − output, of which SAME_UPPER puts the smaller
//! half in front and every other mode the larger one. Where total is negative, what is missing is padded behind. tract's own
//! keeps the pads of the node and lengthens the output only. Without either, the node is tract's.

use super::built::{Built, integers};
use tract_onnx::model::ParsingContext;
use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::{TractError, TractResult, TypedModel};
use tract_onnx::tract_core::ops::cnn::{Deconv, KernelFormat};
use tract_onnx::tract_hir::internal::{
    AxisOp, Expansion, InferenceResult, OutletId, Solver, SpecialOps, StaticName, TVec, Tensor, TensorProxy,
    check_output_arity, expand,
};
use tract_onnx::tract_hir::internal::{DimLike, ToDim};
use tract_onnx::tract_hir::ops::cnn::{PaddingSpec, PoolSpec};
use tract_onnx::tract_hir::ops::nn::DataFormat;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct ConvTranspose {
    /// `output_shape`; without it, the output is input · stride.
    output: Option<Vec<usize>>,
    strides: Option<Vec<usize>>,
    dilations: Option<Vec<usize>>,
    output_padding: Option<Vec<usize>>,
    group: usize,
    upper: bool,
}

pub fn build(context: &ParsingContext<'_>, node: &NodeProto) -> Built {
    let output = integers(node, "output_shape").filter(|shape| !shape.is_empty());
    let padding = node.attribute.iter().find(|a| a.name == "auto_pad").map(|a| a.s.as_slice());
    let kernel = integers(node, "kernel_shape").or_else(|| integers(node, "strides")).map(<[i64]>::len);
    let automatic = matches!(padding, Some(b"SAME_UPPER" | b"SAME_LOWER"));
    let (axes, true) = (output.map(<[i64]>::len).or(kernel), output.is_some() || automatic && kernel.is_some()) else {
        let own = tract_onnx::onnx().op_register.0;
        return (own["ConvTranspose"])(context, node);
    };
    let sizes = |name: &'static str, list: &[i64], least: i64| {
        let sizes: Option<Vec<usize>> =
            list.iter().map(|v| usize::try_from(*v).ok().filter(|v| (least..1 << 31).contains(&(*v as i64)))).collect();
        let right = sizes.filter(|sizes| Some(sizes.len()) == axes);
        right.ok_or_else(|| TractError::msg(format!("{name} of {list:?}")))
    };
    let listed = |name: &'static str, least| integers(node, name).map(|list| sizes(name, list, least)).transpose();
    let group = node.attribute.iter().find(|a| a.name == "group").map_or(1, |a| a.i);
    let upper = padding == Some(b"SAME_UPPER");
    let op = ConvTranspose {
        output: output.map(|output| sizes("output_shape", output, 1)).transpose()?,
        strides: listed("strides", 1)?,
        dilations: listed("dilations", 1)?,
        output_padding: listed("output_padding", 0)?,
        group: usize::try_from(group)
            .ok()
            .filter(|g| *g > 0)
            .ok_or_else(|| TractError::msg(format!("group = {group}")))?,
        upper,
    };
    Ok((expand(op), vec![]))
}

impl ConvTranspose {
    /// Extents of the output.
    fn output(&self, input: &[usize]) -> TractResult<Vec<usize>> {
        if let Some(output) = &self.output {
            return Ok(output.clone());
        }
        let stride = |axis: usize| self.strides.as_ref().map_or(Some(1), |list| list.get(axis).copied());
        let sizes = input.iter().enumerate().map(|(axis, size)| size.checked_mul(stride(axis)?));
        let sizes: Option<Vec<usize>> = sizes.collect();
        sizes.ok_or_else(|| TractError::msg(format!("strides of {:?} for {} spatial axes", self.strides, input.len())))
    }

    /// Pads in front and behind, and what is added at the end of every axis.
    fn pads(&self, input: &[usize], kernel: &[usize]) -> TractResult<(TVec<usize>, TVec<usize>, TVec<usize>)> {
        let (mut front, mut behind, mut added) = (TVec::new(), TVec::new(), TVec::new());
        let output = self.output(input)?;
        let lists = [&self.strides, &self.dilations, &self.output_padding];
        let long = lists.into_iter().flatten().all(|list| list.len() == input.len());
        if input.len() != output.len() || kernel.len() != output.len() || !long {
            return Err(TractError::msg(format!("output_shape of {output:?} for {} spatial axes", input.len())));
        }
        let of = |list: &Option<Vec<usize>>, axis: usize, or: usize| list.as_ref().map_or(or, |list| list[axis]);
        for axis in 0..input.len() {
            let extra = of(&self.output_padding, axis, 0);
            let reach = of(&self.strides, axis, 1) * input[axis].saturating_sub(1)
                + kernel[axis].saturating_sub(1) * of(&self.dilations, axis, 1)
                + 1;
            if self.output.is_none() && reach + extra < output[axis] {
                // ONNX makes the output longer than the kernels reach, ONNX Runtime does not.
                return Err(TractError::msg("automatic padding of kernels that are shorter than their stride"));
            }
            let total = (reach + extra).saturating_sub(output[axis]);
            let first = if self.upper { total / 2 } else { total - total / 2 };
            front.push(first);
            behind.push(total - first);
            added.push((output[axis] + total).saturating_sub(reach));
        }
        Ok((front, behind, added))
    }
}

impl Expansion for ConvTranspose {
    fn name(&self) -> StaticName {
        "ConvTranspose".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_output_arity(outputs, 1)?;
        if !(2..=3).contains(&inputs.len()) {
            return Err(TractError::msg(format!("ConvTranspose of {} operands", inputs.len())));
        }
        s.equals(&outputs[0].datum_type, &inputs[0].datum_type)?;
        s.equals(&inputs[1].datum_type, &inputs[0].datum_type)?;
        s.given_2(&inputs[0].shape, &inputs[1].shape, move |s, x, w| {
            let spatial = x.iter().skip(2).map(|size| Ok(size.to_usize()?)).collect::<TractResult<Vec<usize>>>()?;
            let output = self.output(&spatial)?;
            if x.len() != output.len() + 2 || w.len() != x.len() {
                let reason = format!("output_shape of {output:?} for operands of {} axes", x.len());
                return Err(TractError::msg(reason));
            }
            let mut shape: TVec<_> = TVec::new();
            shape.push(x[0].clone());
            shape.push(w[1].clone() * self.group);
            shape.extend(output.iter().map(|size| size.to_dim()));
            s.equals(&outputs[0].shape, shape)
        })
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let fixed = |model: &TypedModel, input: OutletId| -> TractResult<TVec<usize>> {
            let fact = model.outlet_fact(input)?;
            let shape = fact.shape.as_concrete().ok_or_else(|| TractError::msg("a shape that is not fixed"))?;
            Ok(shape.into())
        };
        let (x, w) = (fixed(model, inputs[0])?, fixed(model, inputs[1])?);
        if w[0] % self.group != 0 || x[1] != w[0] {
            return Err(TractError::msg(format!("{} channels, weights of {}, {} groups", x[1], w[0], self.group)));
        }
        let (front, behind, added) = self.pads(&x[2..], &w[2..])?;
        // ONNX's kernels are (group · in, out, …), tract's (group · out, in, …).
        let parts = format!("{prefix}.kernel_groups");
        let kernel = AxisOp::wire_split_axis(model, parts, inputs[1], 0, self.group)?;
        let kernel = model.wire_node(format!("{prefix}.kernel_order"), AxisOp::Move(1, 2), &kernel)?;
        let kernel = AxisOp::wire_collapse_axis(model, format!("{prefix}.kernel"), kernel[0], 0)?;
        let bias = match inputs.get(2) {
            Some(bias) => *bias,
            None => {
                let zero = Tensor::zero_scalar_dt(model.outlet_fact(inputs[0])?.datum_type)?;
                model.add_const(format!("{prefix}.bias"), zero)?
            }
        };
        let list = |sizes: &Option<Vec<usize>>| sizes.as_ref().map(|sizes| sizes.iter().copied().collect());
        let pool = PoolSpec::new(
            DataFormat::NCHW,
            w[2..].into(),
            PaddingSpec::Explicit(front, behind),
            list(&self.dilations),
            list(&self.strides),
            w[0],
            w[1] * self.group,
        );
        let op = Deconv::new(pool, KernelFormat::OIHW, added, self.group);
        model.wire_node(prefix, op, &[inputs[0], kernel[0], bias])
    }
}

#[cfg(test)]
mod tests {
    use super::ConvTranspose;

    #[test]
    fn pads_follow_from_the_output() {
        let op = |output: usize, upper| ConvTranspose {
            output: Some(vec![output]),
            strides: Some(vec![2]),
            dilations: None,
            output_padding: None,
            group: 1,
            upper,
        };
        let pads = |op: &ConvTranspose| op.pads(&[5], &[3]).map(|(a, b, c)| (a[0], b[0], c[0])).expect("pads");
        // Without pads, the output has 11 elements.
        assert_eq!(pads(&op(11, false)), (0, 0, 0));
        assert_eq!(pads(&op(10, false)), (1, 0, 0));
        assert_eq!(pads(&op(10, true)), (0, 1, 0));
        assert_eq!(pads(&op(9, true)), (1, 1, 0));
        assert_eq!(pads(&op(13, false)), (0, 0, 2));
        assert!(op(10, false).pads(&[5, 5], &[3, 3]).is_err());
        // Input · stride: 15 elements, of which a kernel of five reaches 17 and one of two 14.
        let automatic = ConvTranspose { output: None, strides: Some(vec![3]), ..op(1, true) };
        let (front, behind, added) = automatic.pads(&[5], &[5]).expect("pads");
        assert_eq!((front[0], behind[0], added[0]), (1, 1, 0));
        assert!(automatic.pads(&[5], &[2]).is_err());
    }
}
