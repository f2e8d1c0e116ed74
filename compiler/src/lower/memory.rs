//! Offsets of activations in their arena, from lifetimes.
//!
//! Tensors whose lifetimes overlap never overlap in memory. Placement is by decreasing size into the lowest free gap, which
//! depends on the program alone. It deliberately never moves a tensor during its life.

use flashmem_plan_format::plan::BINDING_ALIGNMENT;

/// One tensor to place.
#[derive(Debug, Clone, Copy)]
pub struct Lifetime {
    /// Bytes.
    pub size_bytes: u64,
    /// First step that needs the memory.
    pub first_step: u32,
    /// Last step that needs it, inclusive.
    pub last_step: u32,
}

/// Byte offset of each tensor and the size of the arena.
pub fn place(tensors: &[Lifetime]) -> (Vec<u64>, u64) {
    let mut order: Vec<usize> = (0..tensors.len()).collect();
    order.sort_by_key(|i| (std::cmp::Reverse(tensors[*i].size_bytes), tensors[*i].first_step, *i));
    let mut offsets = vec![0_u64; tensors.len()];
    let mut placed: Vec<usize> = Vec::new();
    let mut arena = 0_u64;
    for index in order {
        let tensor = tensors[index];
        let size = tensor.size_bytes.max(4).next_multiple_of(BINDING_ALIGNMENT);
        let mut neighbours: Vec<(u64, u64)> = placed
            .iter()
            .filter(|p| tensors[**p].first_step <= tensor.last_step && tensor.first_step <= tensors[**p].last_step)
            .map(|p| (offsets[*p], tensors[*p].size_bytes.max(4).next_multiple_of(BINDING_ALIGNMENT)))
            .collect();
        neighbours.sort_unstable();
        let mut offset = 0;
        for (start, length) in neighbours {
            if start >= offset + size {
                break;
            }
            offset = offset.max(start + length);
        }
        offsets[index] = offset;
        arena = arena.max(offset + size);
        placed.push(index);
    }
    (offsets, arena)
}

#[cfg(test)]
mod tests {
    use super::{Lifetime, place};

    #[test]
    fn tensors_share_memory_only_when_their_lives_do_not_overlap() {
        let life = |size_bytes, first_step, last_step| Lifetime { size_bytes, first_step, last_step };
        let tensors = [life(1000, 0, 1), life(500, 1, 2), life(1000, 2, 3), life(300, 3, 4), life(256, 0, 4)];
        let (offsets, arena) = place(&tensors);
        for a in 0..tensors.len() {
            for b in 0..a {
                let lives =
                    tensors[a].first_step <= tensors[b].last_step && tensors[b].first_step <= tensors[a].last_step;
                let overlap =
                    offsets[a] < offsets[b] + tensors[b].size_bytes && offsets[b] < offsets[a] + tensors[a].size_bytes;
                assert!(!(lives && overlap), "{a} and {b}");
            }
        }
        assert_eq!(arena, 1024 + 512 + 256);
    }
}
