//! The parameters of a kernel call, by the names that the fields of the kernel's parameter block have.
//!
//! Lowering says what every field holds; `emit` lays them out as naga reads the block, and refuses what is missing, unknown,
//! given twice, of another size or kind, and numbers that stand for something else in the kernel. It deliberately knows no
//! kernel.

/// A number that stands for a mode: a constant of the same name and value in the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// Its name in the kernel.
    pub name: &'static str,
    /// Its value.
    pub value: u32,
}

impl Code {
    /// A named number.
    pub const fn new(name: &'static str, value: u32) -> Self {
        Self { name, value }
    }
}

/// What the words of a field are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Integers of either sign; strides wrap around.
    Integer,
    /// f32.
    Float,
}

/// The words of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its name in the parameter block.
    pub name: &'static str,
    /// What the words are.
    pub kind: Kind,
    /// Its words; `None` where a size is beyond 32 bits.
    pub words: Option<Vec<u32>>,
    /// The name that the kernel has for its value, of a mode.
    pub code: Option<&'static str>,
}

/// The fields of a call, all but the slot table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Params(Vec<Field>);

impl Params {
    /// No field yet.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Says what a field holds.
    #[must_use]
    pub fn set(mut self, name: &'static str, value: impl Value) -> Self {
        let (kind, words) = value.into_words();
        self.0.push(Field { name, kind, words, code: None });
        self
    }

    /// Says which mode a field holds.
    #[must_use]
    pub fn code(mut self, name: &'static str, code: Code) -> Self {
        self.0.push(Field { name, kind: Kind::Integer, words: Some(vec![code.value]), code: Some(code.name) });
        self
    }

    /// All fields, in the order in which they were given.
    pub fn fields(&self) -> &[Field] {
        &self.0
    }

    /// The word of a field, or of a component of a vector as `name.x`; 0 where there is none, which `emit` refuses.
    pub fn word(&self, field: &str) -> u32 {
        let (name, component) = field.split_once('.').unwrap_or((field, "x"));
        let words = self.0.iter().find(|f| f.name == name).and_then(|f| f.words.as_ref());
        words.zip("xyzw".find(component)).and_then(|(words, at)| words.get(at).copied()).unwrap_or(0)
    }
}

/// What a field can be given.
pub trait Value {
    /// As the words of a parameter block; `None` where a size is beyond 32 bits.
    fn into_words(self) -> (Kind, Option<Vec<u32>>);
}

fn integers(words: Vec<u32>) -> (Kind, Option<Vec<u32>>) {
    (Kind::Integer, Some(words))
}

/// A size or count.
impl Value for usize {
    fn into_words(self) -> (Kind, Option<Vec<u32>>) {
        (Kind::Integer, u32::try_from(self).ok().map(|word| vec![word]))
    }
}

impl Value for u32 {
    fn into_words(self) -> (Kind, Option<Vec<u32>>) {
        integers(vec![self])
    }
}

/// A stride or offset: negative numbers wrap around, and so does the address arithmetic of kernels.
impl Value for i64 {
    fn into_words(self) -> (Kind, Option<Vec<u32>>) {
        integers(vec![self as u32])
    }
}

impl Value for bool {
    fn into_words(self) -> (Kind, Option<Vec<u32>>) {
        integers(vec![u32::from(self)])
    }
}

impl Value for f32 {
    fn into_words(self) -> (Kind, Option<Vec<u32>>) {
        (Kind::Float, Some(vec![self.to_bits()]))
    }
}

impl<const N: usize> Value for [u32; N] {
    fn into_words(self) -> (Kind, Option<Vec<u32>>) {
        integers(self.to_vec())
    }
}

/// Sizes or counts, as a vector or list.
impl<const N: usize> Value for [usize; N] {
    fn into_words(self) -> (Kind, Option<Vec<u32>>) {
        (Kind::Integer, self.into_iter().map(|size| u32::try_from(size).ok()).collect())
    }
}

impl Value for Vec<u32> {
    fn into_words(self) -> (Kind, Option<Vec<u32>>) {
        integers(self)
    }
}

/// Three strides or offsets, as a vector of four.
impl Value for [i64; 3] {
    fn into_words(self) -> (Kind, Option<Vec<u32>>) {
        integers(self.iter().chain([&0]).map(|stride| *stride as u32).collect())
    }
}

/// Strides of as many axes as the field has components.
impl Value for &[i64] {
    fn into_words(self) -> (Kind, Option<Vec<u32>>) {
        integers(self.iter().map(|stride| *stride as u32).collect())
    }
}
