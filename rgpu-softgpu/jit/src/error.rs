//! What can go wrong between PTX text and machine code.

use rgpu_ptx::Span;

/// Why a module does not load or a kernel does not compile.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The text is not valid PTX.
    #[error(transparent)]
    Parse(#[from] rgpu_ptx::Error),
    /// No kernel has this name.
    #[error("the module has no kernel named {0}")]
    NoSuchKernel(String),
    /// A symbol that the module declares but nothing defines.
    #[error("{symbol} is declared but not defined")]
    Unresolved {
        /// Its name.
        symbol: String,
    },
    /// An instruction that this compiler cannot lower.
    #[error("kernel {kernel}, function {function}, line {line}: {message}: `{instruction}`")]
    Refused {
        /// The kernel being compiled.
        kernel: String,
        /// The function that holds the instruction.
        function: String,
        /// Line of the PTX text, from 1.
        line: usize,
        /// The instruction as written.
        instruction: String,
        /// What is wrong.
        message: String,
    },
    /// The allocator of device memory refused.
    #[error("memory for {symbol}: {message}")]
    Memory {
        /// The variable.
        symbol: String,
        /// The allocator's words.
        message: String,
    },
    /// A limit that protects this process.
    #[error("{what} takes {bytes} bytes, more than the limit of {limit}")]
    TooLarge {
        /// What is too large.
        what: String,
        /// Its size.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// The code generator failed.
    #[error("kernel {kernel}: code generation failed: {message}")]
    Codegen {
        /// The kernel.
        kernel: String,
        /// The generator's words.
        message: String,
    },
}

/// Why one statement was refused; the place is added by whoever walks the statements.
#[derive(Debug)]
pub(crate) struct Refusal(pub(crate) String);

/// Result of emitting a part of a statement.
pub(crate) type Emit<T = ()> = Result<T, Refusal>;

/// Refuses the current statement.
pub(crate) fn refuse<T>(message: impl Into<String>) -> Emit<T> {
    Err(Refusal(message.into()))
}

/// Places a refusal in the text.
pub(crate) fn refused_at(
    text: &str,
    span: Span,
    kernel: &str,
    function: &str,
    refusal: Refusal,
) -> Error {
    let start = (span.start as usize).min(text.len());
    let line = text.as_bytes()[..start]
        .iter()
        .filter(|byte| **byte == b'\n')
        .count()
        + 1;
    let instruction: Vec<&str> = span.text(text).split_whitespace().collect();
    Error::Refused {
        kernel: kernel.to_owned(),
        function: function.to_owned(),
        line,
        instruction: instruction.join(" "),
        message: refusal.0,
    }
}
