//! What a decoded plan takes of the host's memory, by the capacities of its tables.
//!
//! Every table and every text of a plan is taken apart by name, so that a new one does not compile before it is counted.

use flashmem_plan_format::indices::{IndexBound, Walk};
use flashmem_plan_format::plan::{
    BufferSlice, Command, Dispatch, IntegerCheck, Pipeline, Plan, Port, Provenance, RowGather, RowTable, State,
};
use flashmem_plan_format::row_indices::{IndexInstruction, IndexOperand, IndexSource, RowIndices};

/// Heap and inline bytes of a decoded plan.
pub(crate) fn plan_bytes(plan: &Plan) -> u64 {
    (size_of::<Plan>() + plan.heap_bytes()) as u64
}

/// What a value holds behind its pointers.
trait HeapBytes {
    fn heap_bytes(&self) -> usize;
}

impl HeapBytes for String {
    fn heap_bytes(&self) -> usize {
        self.capacity()
    }
}

impl<T: HeapBytes> HeapBytes for Vec<T> {
    fn heap_bytes(&self) -> usize {
        self.capacity() * size_of::<T>() + self.iter().map(HeapBytes::heap_bytes).sum::<usize>()
    }
}

impl<A: HeapBytes, B: HeapBytes> HeapBytes for (A, B) {
    fn heap_bytes(&self) -> usize {
        self.0.heap_bytes() + self.1.heap_bytes()
    }
}

/// Plain values, which have no pointers.
macro_rules! plain {
    ($($plain:ty)*) => {
        $(impl HeapBytes for $plain {
            fn heap_bytes(&self) -> usize {
                0
            }
        })*
    };
}

plain! { u8 i32 u64 i64 BufferSlice Command IndexInstruction IntegerCheck }

impl HeapBytes for Plan {
    fn heap_bytes(&self) -> usize {
        let Self {
            names,
            provenance,
            inputs,
            outputs,
            checks,
            states,
            row_tables,
            row_gathers,
            index_bounds,
            pipelines,
            params,
            dispatches,
            commands,
            repeat_commands,
            requirements: _,
            page: _,
            memory: _,
            page_count: _,
            slot_count: _,
            slot_cap: _,
            staging_pages: _,
            weight_bytes: _,
            activation_bytes: _,
            budget_bytes: _,
            predicted_cold_us: _,
            predicted_warm_us: _,
        } = self;
        [
            names.heap_bytes(),
            provenance.heap_bytes(),
            inputs.heap_bytes(),
            outputs.heap_bytes(),
            checks.heap_bytes(),
            states.heap_bytes(),
            row_tables.heap_bytes(),
            row_gathers.heap_bytes(),
            index_bounds.heap_bytes(),
            pipelines.heap_bytes(),
            params.heap_bytes(),
            dispatches.heap_bytes(),
            commands.heap_bytes(),
            repeat_commands.heap_bytes(),
        ]
        .iter()
        .sum()
    }
}

impl HeapBytes for State {
    fn heap_bytes(&self) -> usize {
        let Self { input, output, shape, element: _, slice: _, next: _ } = self;
        input.heap_bytes() + output.heap_bytes() + shape.heap_bytes()
    }
}

impl HeapBytes for Provenance {
    fn heap_bytes(&self) -> usize {
        let Self {
            model,
            model_hash,
            compiler,
            options,
            strategy,
            solver,
            solver_status,
            profile,
            solver_gap: _,
            disk_bytes_per_second: _,
            upload_bytes_per_second: _,
        } = self;
        let texts = [model, model_hash, compiler, strategy, solver, solver_status, profile];
        texts.iter().map(|text| text.heap_bytes()).sum::<usize>() + options.heap_bytes()
    }
}

impl HeapBytes for Port {
    fn heap_bytes(&self) -> usize {
        let Self { name, shape, element: _, slice: _ } = self;
        name.heap_bytes() + shape.heap_bytes()
    }
}

impl HeapBytes for RowTable {
    fn heap_bytes(&self) -> usize {
        let Self { name, offset_bytes: _, rows: _, row_elements: _, encoding: _ } = self;
        name.heap_bytes()
    }
}

impl HeapBytes for RowGather {
    fn heap_bytes(&self) -> usize {
        let Self { indices, node: _, table: _, destination: _ } = self;
        indices.heap_bytes()
    }
}

impl HeapBytes for RowIndices {
    fn heap_bytes(&self) -> usize {
        let Self { operands, tables, instructions } = self;
        operands.heap_bytes() + tables.heap_bytes() + instructions.heap_bytes()
    }
}

impl HeapBytes for IndexOperand {
    fn heap_bytes(&self) -> usize {
        let Self { source, walk } = self;
        let source_bytes = match source {
            IndexSource::Input(_) => 0,
            IndexSource::Constant(values) => values.heap_bytes(),
        };
        source_bytes + walk.heap_bytes()
    }
}

impl HeapBytes for Walk {
    fn heap_bytes(&self) -> usize {
        let Self { shape, strides, offset: _ } = self;
        shape.heap_bytes() + strides.heap_bytes()
    }
}

impl HeapBytes for IndexBound {
    fn heap_bytes(&self) -> usize {
        let Self { walk, node: _, port: _, least: _, most: _, except: _ } = self;
        walk.heap_bytes()
    }
}

impl HeapBytes for Pipeline {
    fn heap_bytes(&self) -> usize {
        let Self {
            label,
            source,
            cooperative,
            params_bytes: _,
            uses_weights: _,
            storage_bindings: _,
            workgroup_size: _,
            workgroup_bytes: _,
        } = self;
        label.heap_bytes() + source.heap_bytes() + cooperative.as_ref().map_or(0, |other| other.source.heap_bytes())
    }
}

impl HeapBytes for Dispatch {
    fn heap_bytes(&self) -> usize {
        let Self {
            bindings,
            node: _,
            pipeline: _,
            params_offset_bytes: _,
            workgroups: _,
            weights: _,
            loop_rounds: _,
            class: _,
            predicted_us: _,
            capacity_pages: _,
        } = self;
        bindings.heap_bytes()
    }
}
