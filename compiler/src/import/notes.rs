//! What a file notes about values between its nodes (`value_info`), held against inference.
//!
//! Nothing in such a note has to be true: tools that change a model leave old ones behind, and an input of another shape makes them
//! stale. Types that follow from the schemas replace those that are noted, before anything reads them. Of the rest, rewrites need
//! numbers of axes before there is any inference; so a note is believed, and what was believed is compared with what inference
//! finds. A note that does not hold is replaced by what was found, and the model is read again; where that does not end it, or
//! where reading fails with notes, all of them are left out. So a note never decides what is computed, and a wrong one costs time.
//! Notes inside the bodies of nodes are never believed. It deliberately looks at no operator.

use std::collections::BTreeMap;
use tract_onnx::pb::{
    GraphProto, NodeProto, TensorShapeProto, ValueInfoProto, tensor_proto::DataType, tensor_shape_proto::Dimension,
    tensor_shape_proto::dimension, type_proto,
};
use tract_onnx::prelude::{DatumType, InferenceModel, OutletId};
use tract_onnx::tract_hir::internal::{DimFact, Factoid, ShapeFactoid};

/// Sizes of axes, as far as they are known.
type Sizes = Vec<Option<i64>>;

/// Sizes that inference found, by value.
pub type Found = BTreeMap<String, Sizes>;

/// How notes are read.
#[derive(Debug, Default)]
pub struct Notes {
    /// What inference found instead of what the file says.
    corrected: Found,
    /// Whether none is read.
    ignored: bool,
    /// Whether the file has any that say something.
    pub found: bool,
}

/// What a file notes about one value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    value: String,
    sizes: Option<Sizes>,
    element: Option<i32>,
}

impl Notes {
    /// No note is read.
    pub fn ignored() -> Self {
        Self { ignored: true, ..Self::default() }
    }

    /// Takes up what was found; `false` where a value was corrected before.
    #[must_use]
    pub fn correct(&mut self, found: Found) -> bool {
        let again = found.keys().any(|value| self.corrected.contains_key(value));
        self.corrected.extend(found);
        !again
    }

    /// Leaves in a graph the notes that may be believed; `types` are the element types that follow, and of what is in `made` the
    /// file says more than a note does.
    pub fn settle(&mut self, graph: &mut GraphProto, types: &BTreeMap<String, i32>, made: impl Fn(&str) -> bool) {
        graph.node.iter_mut().for_each(forget);
        if self.ignored {
            graph.value_info.clear();
        }
        graph.value_info.retain(|info| !made(&info.name));
        self.found |= !graph.value_info.is_empty();
        for info in &mut graph.value_info {
            let ValueInfoProto { name, r#type, .. } = info;
            let Some(type_proto::Value::TensorType(tensor)) = r#type.as_mut().and_then(|t| t.value.as_mut()) else {
                continue;
            };
            if let Some(element) = types.get(name) {
                tensor.elem_type = *element;
            }
            if let Some(sizes) = self.corrected.get(name) {
                tensor.shape = Some(shape(sizes));
                if !types.contains_key(name) {
                    tensor.elem_type = DataType::Undefined as i32;
                }
            }
        }
    }
}

fn shape(sizes: &Sizes) -> TensorShapeProto {
    let value = |size: &Option<i64>| size.map(dimension::Value::DimValue);
    let dim = sizes.iter().map(|size| Dimension { value: value(size), ..Dimension::default() }).collect();
    TensorShapeProto { dim }
}

/// Takes the notes out of a node's bodies.
fn forget(node: &mut NodeProto) {
    for body in node.attribute.iter_mut().flat_map(|attribute| attribute.g.iter_mut().chain(&mut attribute.graphs)) {
        body.value_info.clear();
        body.node.iter_mut().for_each(forget);
    }
}

/// The notes of a graph; of element types those that do not follow from `types`.
pub fn noted(graph: &GraphProto, types: &BTreeMap<String, i32>) -> Vec<Note> {
    let note = |info: &ValueInfoProto| {
        let type_proto::Value::TensorType(tensor) = info.r#type.as_ref()?.value.as_ref()?;
        let size = |dim: &Dimension| match &dim.value {
            Some(dimension::Value::DimValue(size)) => Some(*size),
            Some(dimension::Value::DimParam(_)) | None => None,
        };
        let sizes = tensor.shape.as_ref().map(|shape| shape.dim.iter().map(size).collect());
        let element = Some(tensor.elem_type).filter(|_| !types.contains_key(&info.name));
        Some(Note { value: info.name.clone(), sizes, element })
    };
    graph.value_info.iter().filter_map(note).collect()
}

/// What inference found where notes do not hold: another number of axes, not one element where one is noted, or another
/// kind of elements.
pub fn contradicted(notes: &[Note], model: &InferenceModel) -> Found {
    let notes: BTreeMap<&str, &Note> = notes.iter().map(|note| (note.value.as_str(), note)).collect();
    let mut found = BTreeMap::new();
    for node in model.nodes() {
        for (slot, outlet) in node.outputs.iter().enumerate() {
            let name = model.outlet_label(OutletId::new(node.id, slot)).or((slot == 0).then_some(node.name.as_str()));
            let Some(note) = name.and_then(|name| notes.get(name)) else { continue };
            let sizes = sizes(&outlet.fact.shape);
            let element = outlet.fact.datum_type.concretize();
            let other_sizes = sizes.as_ref().is_some_and(|sizes| !note.fits(sizes));
            let other_kind = element.is_some_and(|element| !note.is_of(element));
            if other_sizes || other_kind {
                let known = sizes.or_else(|| note.sizes.clone()).unwrap_or_default();
                found.insert(note.value.clone(), known);
            }
        }
    }
    found
}

/// Sizes of axes, where their number is known.
fn sizes(shape: &ShapeFactoid) -> Option<Sizes> {
    shape.rank().concretize()?;
    let size = |dim: &DimFact| dim.concretize().and_then(|dim| dim.to_i64().ok());
    Some(shape.dims().map(size).collect())
}

impl Note {
    fn fits(&self, found: &Sizes) -> bool {
        let Some(noted) = &self.sizes else { return true };
        let ones = |sizes: &Sizes| sizes.iter().all(|size| *size == Some(1));
        noted.len() == found.len() && ones(noted) == ones(found)
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "ONNX's types: the others are integers")]
    fn is_of(&self, found: DatumType) -> bool {
        let Some(noted) = self.element.and_then(|element| DataType::try_from(element).ok()) else { return true };
        let (float, boolean) = (found.is_float(), found == DatumType::Bool);
        match noted {
            DataType::Undefined | DataType::String | DataType::Complex64 | DataType::Complex128 => true,
            DataType::Bool => boolean,
            DataType::Float | DataType::Float16 | DataType::Double | DataType::Bfloat16 => float,
            _ => !float && !boolean,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Note, Notes, noted};
    use std::collections::BTreeMap;
    use tract_onnx::pb::{
        AttributeProto, GraphProto, NodeProto, TypeProto, ValueInfoProto, tensor_proto::DataType, type_proto,
    };
    use tract_onnx::prelude::DatumType;

    fn info(name: &str, element: DataType, sizes: &[Option<i64>]) -> ValueInfoProto {
        let shape = Some(super::shape(&sizes.to_vec()));
        let value = Some(type_proto::Value::TensorType(type_proto::Tensor { elem_type: element as i32, shape }));
        let r#type = Some(TypeProto { value, ..TypeProto::default() });
        ValueInfoProto { name: name.to_owned(), r#type, ..ValueInfoProto::default() }
    }

    fn graph() -> GraphProto {
        let body = GraphProto { value_info: vec![info("b", DataType::Float, &[])], ..GraphProto::default() };
        let attribute = AttributeProto { g: Some(body), ..AttributeProto::default() };
        GraphProto {
            node: vec![NodeProto { attribute: vec![attribute], ..NodeProto::default() }],
            value_info: vec![
                info("followed", DataType::Float16, &[Some(2), None]),
                info("open", DataType::Int64, &[Some(1)]),
                info("input", DataType::Float, &[]),
            ],
            ..GraphProto::default()
        }
    }

    fn followed() -> BTreeMap<String, i32> {
        [("followed".to_owned(), DataType::Float as i32)].into()
    }

    #[test]
    fn types_that_follow_replace_notes_and_bodies_have_none() {
        let (mut graph, mut notes) = (graph(), Notes::default());
        notes.settle(&mut graph, &followed(), |name| name == "input");
        assert!(notes.found);
        let expected = [info("followed", DataType::Float, &[Some(2), None]), info("open", DataType::Int64, &[Some(1)])];
        assert_eq!(graph.value_info, expected);
        assert!(graph.node[0].attribute[0].g.as_ref().is_some_and(|body| body.value_info.is_empty()));
    }

    #[test]
    fn what_is_found_replaces_notes_once() {
        let (mut graph, mut notes) = (graph(), Notes::default());
        let found = || [("open".to_owned(), vec![None, Some(3)])].into();
        assert!(notes.correct(found()));
        notes.settle(&mut graph, &followed(), |_| false);
        assert_eq!(graph.value_info[1], info("open", DataType::Undefined, &[None, Some(3)]));
        assert!(!notes.correct(found()), "a value that is corrected and does not hold again");
        let mut none = Notes::ignored();
        none.settle(&mut graph, &followed(), |_| false);
        assert!(graph.value_info.is_empty() && !none.found);
    }

    #[test]
    fn a_note_holds_for_the_number_of_axes_one_element_and_the_kind_of_elements() {
        let notes = noted(&graph(), &followed());
        let [followed, open, _] = notes.as_slice() else { panic!("three notes") };
        let sizes = |sizes: &[i64]| sizes.iter().map(|size| Some(*size)).collect::<Vec<_>>();
        let holds = |note: &Note, found: &[i64]| note.fits(&sizes(found));
        assert!(holds(followed, &[7, 3]) && !holds(followed, &[2]) && !holds(followed, &[1, 1]));
        assert!(holds(open, &[1]) && !holds(open, &[2]) && !holds(open, &[]));
        assert!(open.is_of(DatumType::I64) && open.is_of(DatumType::U8));
        assert!(!open.is_of(DatumType::F32) && !open.is_of(DatumType::Bool));
        assert!(followed.is_of(DatumType::Bool), "its type follows, and is none of a note's");
    }
}
