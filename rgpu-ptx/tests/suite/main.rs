//! Whole-crate tests: real compiler output, every form that TensorFlow's kernels use, what NVIDIA's
//! assembler accepts and rejects, and hostile input.

mod corpus;
mod forms;
mod hostile;
mod oracle;
mod support;
mod tree;
