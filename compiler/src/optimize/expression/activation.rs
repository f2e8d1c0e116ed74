//! Recognises activation functions in their spelled-out forms: products of x and a gate that depends on x.
//!
//! x · (1 + erf(x/√2)), x · (1 + tanh(cubic)), x · sigmoid(x) and x · clamp(x/6 + ½) with any literal factors in any place.
//! Arguments are compared as polynomials of x, coefficients to 1e-6.

use super::{Expression, Expressions, Id, close};
use crate::graph::pointwise::{BinaryOp, UnaryOp};

impl Expressions {
    /// A product as its coefficient and its factors that are not literals; those after the third are left out.
    fn factors(&self, expression: Expression, factors: &mut Vec<Id>) -> f64 {
        let side = |id: Id, factors: &mut Vec<Id>| {
            // A value that is multiplied by itself n times over has 2ⁿ factors.
            if factors.len() > 2 {
                return f64::NAN;
            }
            let inner = self.get(id);
            if let Some(literal) = self.f32(id) {
                return literal;
            }
            if matches!(inner, Expression::Binary(BinaryOp::Mul, ..) | Expression::Unary(UnaryOp::Neg, _))
                || matches!(inner, Expression::Binary(BinaryOp::Div, _, d) if self.f32(d).is_some())
            {
                return self.factors(inner, factors);
            }
            factors.push(id);
            1.0
        };
        match expression {
            Expression::Binary(BinaryOp::Mul, a, b) => {
                let left = side(a, factors);
                left * side(b, factors)
            }
            Expression::Binary(BinaryOp::Div, a, b) => side(a, factors) / self.f32(b).unwrap_or(f64::NAN),
            Expression::Unary(UnaryOp::Neg, a) => -side(a, factors),
            Expression::Input(_)
            | Expression::Literal(_)
            | Expression::Unary(..)
            | Expression::Binary(..)
            | Expression::Select(..)
            | Expression::Cast(..) => f64::NAN,
        }
    }

    /// Coefficients c0 + c1 x + c2 x² + c3 x³ of `id`, when it is such a polynomial of few terms.
    fn polynomial(&self, id: Id, x: Id) -> Option<[f64; 4]> {
        self.polynomial_within(id, x, &mut 64)
    }

    /// The same; each step takes one of `steps`.
    fn polynomial_within(&self, id: Id, x: Id, steps: &mut u32) -> Option<[f64; 4]> {
        *steps = steps.checked_sub(1)?;
        if id == x {
            return Some([0.0, 1.0, 0.0, 0.0]);
        }
        if let Some(literal) = self.f32(id) {
            return Some([literal, 0.0, 0.0, 0.0]);
        }
        match self.get(id) {
            Expression::Unary(UnaryOp::Neg, a) => Some(self.polynomial_within(a, x, steps)?.map(|c| -c)),
            Expression::Binary(op @ (BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul | BinaryOp::Div), a, b) => {
                let (p, q) = (self.polynomial_within(a, x, steps)?, self.polynomial_within(b, x, steps)?);
                let mut sum = [0.0; 4];
                if op == BinaryOp::Add {
                    (0..4).for_each(|i| sum[i] = p[i] + q[i]);
                } else if op == BinaryOp::Sub {
                    (0..4).for_each(|i| sum[i] = p[i] - q[i]);
                } else if op == BinaryOp::Div {
                    let divisor = self.f32(b)?;
                    (0..4).for_each(|i| sum[i] = p[i] / divisor);
                } else {
                    for (i, pi) in p.iter().enumerate().filter(|(_, c)| **c != 0.0) {
                        for (j, qj) in q.iter().enumerate().filter(|(_, c)| **c != 0.0) {
                            *sum.get_mut(i + j)? += pi * qj;
                        }
                    }
                }
                Some(sum)
            }
            Expression::Input(_)
            | Expression::Literal(_)
            | Expression::Unary(..)
            | Expression::Binary(..)
            | Expression::Select(..)
            | Expression::Cast(..) => None,
        }
    }

    /// A product or quotient that spells out an activation function of one of its factors.
    pub(super) fn activation(&mut self, expression: Expression) -> Option<Id> {
        let mut factors = Vec::new();
        if let Expression::Binary(BinaryOp::Div, _, d) = expression
            && self.f32(d).is_none()
        {
            return None;
        }
        let coefficient = self.factors(expression, &mut factors);
        let &[a, b] = factors.as_slice() else { return None };
        let (op, x, unit) = self.gate(a, b).map(|(op, c)| (op, a, c)).or_else(|| {
            let (op, c) = self.gate(b, a)?;
            Some((op, b, c))
        })?;
        let result = self.intern(Expression::Unary(op, x));
        let rest = coefficient * unit;
        if close(rest, 1.0) {
            return Some(result);
        }
        let rest = self.literal_f32(rest);
        Some(self.intern(Expression::Binary(BinaryOp::Mul, result, rest)))
    }

    /// The activation f and the constant c for which x · gate = c · f(x).
    fn gate(&self, x: Id, gate: Id) -> Option<(UnaryOp, f64)> {
        const TANH_SCALE: f64 = 0.797_884_560_802_865_4;
        let cubic = |id: Id, scale: f64| {
            let p = self.polynomial(id, x)?;
            (p[0] == 0.0 && p[2] == 0.0 && close(p[1], scale) && close(p[3], scale * 0.044_715)).then_some(())
        };
        match self.get(gate) {
            Expression::Unary(UnaryOp::Sigmoid, inner) if inner == x => Some((UnaryOp::Silu, 1.0)),
            Expression::Unary(UnaryOp::Sigmoid, inner) => {
                cubic(inner, 2.0 * TANH_SCALE).map(|()| (UnaryOp::GeluTanh, 1.0))
            }
            Expression::Binary(BinaryOp::Add, inner, one) if self.f32(one) == Some(1.0) => match self.get(inner) {
                Expression::Unary(UnaryOp::Erf, argument) => {
                    let p = self.polynomial(argument, x)?;
                    let linear = p[0] == 0.0 && p[2] == 0.0 && p[3] == 0.0;
                    (linear && close(p[1], std::f64::consts::FRAC_1_SQRT_2)).then_some((UnaryOp::GeluErf, 2.0))
                }
                Expression::Unary(UnaryOp::Tanh, argument) => {
                    cubic(argument, TANH_SCALE).map(|()| (UnaryOp::GeluTanh, 2.0))
                }
                Expression::Unary(..)
                | Expression::Input(_)
                | Expression::Literal(_)
                | Expression::Binary(..)
                | Expression::Select(..)
                | Expression::Cast(..) => None,
            },
            Expression::Input(_)
            | Expression::Literal(_)
            | Expression::Unary(..)
            | Expression::Binary(..)
            | Expression::Select(..)
            | Expression::Cast(..) => {
                let (inner, top) = self.clamp_from_zero(gate)?;
                let p = self.polynomial(inner, x)?;
                let fits = p[2] == 0.0 && p[3] == 0.0 && close(p[1] / top, 1.0 / 6.0) && close(p[0] / top, 0.5);
                fits.then_some((UnaryOp::HardSwish, top))
            }
        }
    }

    /// x of max(x, 0) + ln(1 + exp(−|x|)).
    pub(super) fn softplus_argument(&self, positive: Id, rest: Id) -> Option<Id> {
        let Expression::Unary(UnaryOp::Relu, x) = self.get(positive) else { return None };
        let Expression::Unary(UnaryOp::Log, sum) = self.get(rest) else { return None };
        let magnitude = self.sigmoid_denominator(sum)?;
        (self.get(magnitude) == Expression::Unary(UnaryOp::Abs, x)).then_some(x)
    }

    /// v and h of min(max(v, 0), h) or max(min(v, h), 0).
    fn clamp_from_zero(&self, id: Id) -> Option<(Id, f64)> {
        match self.get(id) {
            Expression::Binary(BinaryOp::Min, inner, top) => {
                let Expression::Unary(UnaryOp::Relu, v) = self.get(inner) else { return None };
                Some((v, self.f32(top)?))
            }
            Expression::Unary(UnaryOp::Relu, inner) => {
                let Expression::Binary(BinaryOp::Min, v, top) = self.get(inner) else { return None };
                Some((v, self.f32(top)?))
            }
            Expression::Input(_)
            | Expression::Literal(_)
            | Expression::Unary(..)
            | Expression::Binary(..)
            | Expression::Select(..)
            | Expression::Cast(..) => None,
        }
        .filter(|(_, top)| *top > 0.0)
    }
}
