//! Functions as a model's message holds them.
//!
//! tract's message of a function leaves out the defaults of its attributes, and which of several functions of one name it is.

use prost::Message;
use tract_onnx::pb::{AttributeProto, NodeProto, OperatorSetIdProto};

/// A `ModelProto`, of which only the functions are read.
#[derive(Clone, PartialEq, Message)]
pub struct Functions {
    /// In file order.
    #[prost(message, repeated, tag = "25")]
    pub functions: Vec<Function>,
}

/// A `FunctionProto`.
#[derive(Clone, PartialEq, Message)]
pub struct Function {
    /// Name, which is the operator type of a call.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Names of its operands.
    #[prost(string, repeated, tag = "4")]
    pub input: Vec<String>,
    /// Names of its results.
    #[prost(string, repeated, tag = "5")]
    pub output: Vec<String>,
    /// Names of its attributes without a default.
    #[prost(string, repeated, tag = "6")]
    pub attribute: Vec<String>,
    /// Its body.
    #[prost(message, repeated, tag = "7")]
    pub node: Vec<NodeProto>,
    /// The versions of operators that its body means.
    #[prost(message, repeated, tag = "9")]
    pub opset_import: Vec<OperatorSetIdProto>,
    /// Domain, which is that of a call.
    #[prost(string, tag = "10")]
    pub domain: String,
    /// Its attributes with a default, and that.
    #[prost(message, repeated, tag = "11")]
    pub attribute_proto: Vec<AttributeProto>,
}

impl Function {
    /// How messages call it.
    pub fn full_name(&self) -> String {
        if self.domain.is_empty() { self.name.clone() } else { format!("{}.{}", self.domain, self.name) }
    }

    /// About what the names of operands, results and attributes take beside a call.
    pub fn interface_bytes(&self) -> u64 {
        let names = self.input.len() + self.output.len() + self.attribute.len() + self.attribute_proto.len();
        let made: usize = self.node.iter().map(|node| node.output.len()).sum();
        const BYTES_OF_A_NAME: u64 = 64;
        (names + made) as u64 * BYTES_OF_A_NAME
    }
}
