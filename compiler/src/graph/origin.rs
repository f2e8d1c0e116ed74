//! Where nodes come from: the ONNX nodes, initialisers and ports behind every tensor, as interned ids.
//!
//! An [`OriginId`] is one thing of the model; a node of ours has an [`OriginSet`] of them, since fusion merges nodes. Ids decide
//! what counts as the same; names are text for people, made by [`Origins::label`] where something is printed or stored, and
//! never read back. Two things of one name are two origins.

use crate::narrow::index32;
use std::collections::BTreeMap;

/// Characters (bytes of UTF-8) that a label of several names has, about; what follows is `…`.
const LABEL_BYTES: usize = 160;

/// One ONNX node, initialiser or port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OriginId(u32);

/// A list of origins without repetition, in order of computation: equal lists have equal sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OriginSet(u32);

impl OriginSet {
    /// No origin.
    pub const NONE: Self = Self(0);
}

/// The origins of a graph.
#[derive(Debug, Clone)]
pub struct Origins {
    names: Vec<String>,
    sets: Vec<Vec<OriginId>>,
    interned: BTreeMap<Vec<OriginId>, OriginSet>,
}

impl Default for Origins {
    fn default() -> Self {
        Self { names: Vec::new(), sets: vec![Vec::new()], interned: BTreeMap::from([(Vec::new(), OriginSet::NONE)]) }
    }
}

impl Origins {
    /// A new origin, alone in its set.
    pub fn add(&mut self, name: impl Into<String>) -> OriginSet {
        self.names.push(name.into());
        self.intern(vec![OriginId(index32(self.names.len()) - 1)])
    }

    /// The origins of a set.
    pub fn ids(&self, set: OriginSet) -> &[OriginId] {
        &self.sets[set.0 as usize]
    }

    /// The origins of `first`, then those of `second` that are new.
    pub fn merge(&mut self, first: OriginSet, second: OriginSet) -> OriginSet {
        let mut ids = self.ids(first).to_vec();
        ids.extend(self.without(second, first));
        self.intern(ids)
    }

    /// The origins of `set` that are not in `other`.
    pub fn without(&self, set: OriginSet, other: OriginSet) -> Vec<OriginId> {
        self.ids(set).iter().copied().filter(|id| !self.ids(other).contains(id)).collect()
    }

    /// Text for people: the names of both sets, each origin once, joined by `+` and cut after about 160 bytes.
    pub fn label(&self, first: OriginSet, second: OriginSet) -> String {
        let mut ids = self.ids(first).iter().copied().chain(self.without(second, first));
        let mut label = ids.next().map_or_else(String::new, |id| self.names[id.0 as usize].clone());
        for name in ids.map(|id| &self.names[id.0 as usize]) {
            label.push('+');
            if label.len() + name.len() >= LABEL_BYTES {
                label.push('…');
                break;
            }
            label.push_str(name);
        }
        label
    }

    fn intern(&mut self, ids: Vec<OriginId>) -> OriginSet {
        if let Some(set) = self.interned.get(&ids) {
            return *set;
        }
        let set = OriginSet(index32(self.sets.len()));
        self.sets.push(ids.clone());
        self.interned.insert(ids, set);
        set
    }
}

/// What a new node may be given as its origin: a set, or the name of an origin of its own.
pub trait IntoOrigin {
    /// The set.
    fn into_origin(self, origins: &mut Origins) -> OriginSet;
}

impl IntoOrigin for OriginSet {
    fn into_origin(self, _: &mut Origins) -> OriginSet {
        self
    }
}

impl IntoOrigin for &str {
    fn into_origin(self, origins: &mut Origins) -> OriginSet {
        origins.add(self)
    }
}

impl IntoOrigin for &String {
    fn into_origin(self, origins: &mut Origins) -> OriginSet {
        origins.add(self.as_str())
    }
}

impl IntoOrigin for String {
    fn into_origin(self, origins: &mut Origins) -> OriginSet {
        origins.add(self)
    }
}

#[cfg(test)]
mod tests {
    use super::{OriginSet, Origins};

    #[test]
    fn names_of_any_spelling_stay_apart_and_come_back_whole() {
        let mut origins = Origins::default();
        let names = ["a+b", "a", "…", "a+b", "with space"];
        let sets = names.map(|name| origins.add(name));
        let all = sets.into_iter().fold(OriginSet::NONE, |all, set| origins.merge(all, set));
        assert_eq!(origins.ids(all).len(), 5, "equal names of two nodes are two origins");
        assert_eq!(origins.label(all, OriginSet::NONE), "a+b+a+…+a+b+with space");
        assert_eq!(origins.merge(all, sets[1]), all);
        assert_eq!(origins.without(all, sets[0]).len(), 4);
    }

    #[test]
    fn labels_are_cut_and_sets_are_not() {
        let mut origins = Origins::default();
        let long = "n".repeat(200);
        let (first, second) = (origins.add(long.as_str()), origins.add("relu"));
        let both = origins.merge(first, second);
        assert_eq!(origins.label(both, OriginSet::NONE), format!("{long}+…"));
        assert_eq!(origins.label(first, second), origins.label(both, OriginSet::NONE));
        assert_eq!(origins.ids(both).len(), 2);
    }
}
