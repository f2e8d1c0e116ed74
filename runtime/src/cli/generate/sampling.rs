//! Chooses a token by its logit: the most likely one, or one that is drawn.
//!
//! Equal logits go by their number, so that equal logits and seeds give equal tokens on every machine.

use anyhow::ensure;
use flashmem_plan_format::random::SplitMix64;

/// How tokens are chosen.
pub struct Sampler {
    temperature: f64,
    top_k: usize,
    top_p: f64,
    random: SplitMix64,
}

impl Sampler {
    /// With a temperature of 0 the most likely token is taken. `top_k` of 0 and `top_p` of 1 leave none out.
    pub const fn new(temperature: f64, top_k: u32, top_p: f64, seed: u64) -> Self {
        Self { temperature, top_k: top_k as usize, top_p, random: SplitMix64(seed) }
    }

    /// The next token.
    pub fn choose(&mut self, logits: &[f32]) -> anyhow::Result<i64> {
        ensure!(logits.iter().all(|logit| !logit.is_nan()), "a logit is NaN");
        let mut order: Vec<usize> = (0..logits.len()).collect();
        let by_logit = |a: &usize, b: &usize| logits[*b].total_cmp(&logits[*a]).then(a.cmp(b));
        let best = order.iter().copied().min_by(by_logit);
        let Some(best) = best else { anyhow::bail!("there are no logits") };
        if self.temperature == 0.0 {
            return Ok(best as i64);
        }
        order.sort_unstable_by(by_logit);
        order.truncate(if self.top_k == 0 { order.len() } else { self.top_k });
        let top = f64::from(logits[best]);
        let weights: Vec<f64> =
            order.iter().map(|i| ((f64::from(logits[*i]) - top) / self.temperature).exp()).collect();
        let kept = self.kept(&weights);
        let total: f64 = weights[..kept].iter().sum();
        let mut left = self.unit() * total;
        let drawn = weights[..kept].iter().position(|weight| {
            left -= weight;
            left < 0.0
        });
        Ok(order[drawn.unwrap_or(kept - 1)] as i64)
    }

    /// How many of the first weights have `top_p` of the sum, one at least.
    fn kept(&self, weights: &[f64]) -> usize {
        let mut left = self.top_p * weights.iter().sum::<f64>();
        let reached = weights.iter().position(|weight| {
            left -= weight;
            left <= 0.0
        });
        reached.map_or(weights.len(), |last| last + 1)
    }

    /// Uniform in [0, 1).
    fn unit(&mut self) -> f64 {
        (self.random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::Sampler;

    #[test]
    fn tokens_are_drawn_by_their_weight_from_those_that_are_kept() {
        let logits = [1.0, 3.0, 3.0, 2.0, f32::NEG_INFINITY];
        let count = |mut sampler: Sampler| {
            let mut counts = [0; 5];
            (0..2000).for_each(|_| counts[sampler.choose(&logits).expect("numbers") as usize] += 1);
            counts
        };
        assert_eq!(count(Sampler::new(0.0, 0, 1.0, 1)), [0, 2000, 0, 0, 0]);
        assert_eq!(count(Sampler::new(1.0, 1, 1.0, 1)), [0, 2000, 0, 0, 0]);
        let two = count(Sampler::new(1.0, 0, 0.79, 1));
        assert_eq!([two[0], two[3], two[4]], [0; 3]);
        let all = count(Sampler::new(1.0, 0, 1.0, 1));
        // e^-2 : 1 : 1 : e^-1 of 2000.
        for (found, expected) in all.iter().zip([108, 799, 799, 294, 0]) {
            assert!((i32::abs(found - expected)) < 90, "{all:?}");
        }
        assert_eq!(all, count(Sampler::new(1.0, 0, 1.0, 1)));
        assert!(Sampler::new(0.0, 0, 1.0, 1).choose(&[f32::NAN]).is_err());
        assert!(Sampler::new(0.0, 0, 1.0, 1).choose(&[]).is_err());
    }
}
