//! What the steps of a network are, for people to look at.

/// One step of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepInfo<'a> {
    /// Name of the node that it stands for.
    pub node: &'a str,
    /// What it computes, by the name that ONNX has for it.
    pub op: &'a str,
    /// What carries it out: the kernel's name, or for nodes in float `f32`, our own convolution, or `tract`.
    pub kernel: &'static str,
    /// Multiplications of activations with weights, each with an addition. None where a layer has no weights.
    pub multiply_adds: u64,
    /// Bytes that its parameters take in the form in which they are used.
    pub parameter_bytes: usize,
    /// Bytes that it reads and writes, parameters left out.
    pub activation_bytes: usize,
    /// Whether it computes in float. Conversions between floats and bytes don't count.
    pub is_float: bool,
}
