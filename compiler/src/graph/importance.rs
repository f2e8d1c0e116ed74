//! How much errors of the elements of a weight matter: the mean square of what each of them is multiplied by.
//!
//! It is what rounding to small integers weighs errors with. This file deliberately does not know where the numbers come from
//! (`precision/`).

/// Mean squares for the elements of a weight, the same for all indices along some of its axes.
#[derive(Debug, Clone, PartialEq)]
pub struct Importance {
    /// Sizes and distances among `values` of the weight's axes, innermost first; distance 0 where an index does not matter.
    axes: Vec<(usize, usize)>,
    values: Vec<f32>,
}

impl Importance {
    /// The importance of a weight's elements; `own` is the weight's shape with 1 for axes that do not matter, and that of `values`.
    pub fn new(weight: &[usize], own: &[usize], values: Vec<f32>) -> Self {
        let mut axes: Vec<(usize, usize)> = Vec::new();
        let mut step = 1;
        for (size, own) in weight.iter().zip(own).rev() {
            let distance = if *own == 1 { 0 } else { step };
            step *= own;
            match axes.last_mut() {
                Some((inner, 0)) if distance == 0 => *inner *= size,
                Some((inner, inner_step)) if *inner_step > 0 && distance == *inner * *inner_step => *inner *= size,
                Some(_) | None => axes.push((*size, distance)),
            }
        }
        debug_assert_eq!(values.len(), step, "a value for every index that matters");
        Self { axes, values }
    }

    /// That of the element at a row-major position.
    pub fn at(&self, element: usize) -> f32 {
        let (mut rest, mut place) = (element, 0);
        for (size, distance) in &self.axes {
            place += rest % size * distance;
            rest /= size;
        }
        self.values[place]
    }
}

#[cfg(test)]
mod tests {
    use super::Importance;

    #[test]
    fn axes_that_do_not_matter_are_passed_over() {
        let shapes: [(&[usize], &[usize]); 4] =
            [(&[3, 4], &[1, 4]), (&[3, 4], &[3, 1]), (&[2, 3, 4, 5], &[1, 3, 4, 1]), (&[2, 3, 4], &[2, 1, 4])];
        for (weight, own) in shapes {
            let count: usize = own.iter().product();
            let importance = Importance::new(weight, own, (0..count).map(|value| value as f32).collect());
            for element in 0..weight.iter().product() {
                let (mut rest, mut place, mut step) = (element, 0, 1);
                for (size, own) in weight.iter().zip(own).rev() {
                    place += if *own == 1 { 0 } else { rest % size * step };
                    step *= own;
                    rest /= size;
                }
                assert_eq!(importance.at(element), place as f32, "{weight:?} {own:?}");
            }
        }
    }
}
