//! Functions: what an author writes ([`FunctionSpec`]), and what the scheduler runs ([`Function`]).
//!
//! A [`Function`] exists only if its definition is valid: everything is judged once, in
//! [`Function::try_from`], and never again.

mod file;
mod quantity;
mod spec;
mod storage;

use std::collections::BTreeMap;
use std::time::Duration;

pub use self::file::{FileError, parse_json, parse_yaml, read_file};
pub use self::quantity::{Cpu, Memory, QuantityError};
pub use self::spec::{EnvironmentSpec, FunctionSpec, GpuSpec, LogLevel, StorageIoSpec};
pub use self::storage::{NameFilter, PathError, StorageIo, StoragePath};

/// OSCAR's own limits and defaults.
const MAX_NAME: usize = 39;
const DEFAULT_MEMORY: &str = "256Mi";
const DEFAULT_CPU: &str = "0.2";
/// Bounds what one definition can cost in the database and in every process's environment.
const MAX_SCRIPT: usize = 1 << 20;
const MAX_ENTRIES: usize = 64;

/// The job contract's own variables: a function may not set them.
pub const RESERVED_VARIABLES: &[&str] = &[
    "INPUT_FILE_PATH",
    "TMP_INPUT_DIR",
    "TMP_OUTPUT_DIR",
    "STORAGE_OBJECT_KEY",
    "EVENT",
    "EVENT_TIME",
    "OSCAR_SERVICE_NAME",
    "RGPU_JOB_TAG",
    "RGPU_INVOCATION_ID",
    "RGPU_STATS",
    "RGPU_SERVER",
];

/// Why a definition was refused; every message says what to change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FunctionError {
    /// The name cannot be used in commands, folders and environment.
    #[error(
        "name `{0}`: 1 to 39 lower-case letters, digits and dashes, starting with a letter and not ending with a dash"
    )]
    Name(String),
    /// There is nothing to run.
    #[error("function `{0}` has no script")]
    NoScript(String),
    /// The script is unreasonable in size.
    #[error("function `{name}`: the script has {size} bytes; the limit is {MAX_SCRIPT}")]
    ScriptTooLarge {
        /// The function.
        name: String,
        /// Its script's size.
        size: usize,
    },
    /// The script could not be executed.
    #[error("function `{name}`: {why}")]
    Script {
        /// The function.
        name: String,
        /// What is wrong.
        why: &'static str,
    },
    /// An environment variable cannot be set.
    #[error("function `{name}`: environment variable `{variable}` {why}")]
    Variable {
        /// The function.
        name: String,
        /// The variable.
        variable: String,
        /// What is wrong.
        why: &'static str,
    },
    /// A storage path is not usable.
    #[error("function `{name}`: {field} path `{path}`: {source}")]
    Path {
        /// The function.
        name: String,
        /// `input` or `output`.
        field: &'static str,
        /// The text.
        path: String,
        /// What is wrong.
        source: PathError,
    },
    /// A storage provider that is not there.
    #[error(
        "function `{name}`: storage provider `{provider}` does not exist; only the built-in store does: minio.default or s3.default"
    )]
    Provider {
        /// The function.
        name: String,
        /// The provider.
        provider: String,
    },
    /// A list or number out of its range.
    #[error("function `{name}`: {what}")]
    Range {
        /// The function.
        name: String,
        /// What is out of range.
        what: String,
    },
}

/// A valid function.
#[derive(Debug, Clone)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// The script's text.
    pub script: String,
    /// Memory limit.
    pub memory: Memory,
    /// Processor limit.
    pub cpu: Cpu,
    /// What the launcher writes to the job's log.
    pub log_level: LogLevel,
    /// Whether the job finds its input itself.
    pub skip_input: bool,
    /// Variables for the script.
    pub environment: BTreeMap<String, String>,
    /// Uploads that start it.
    pub input: Vec<StorageIo>,
    /// Where results go.
    pub output: Vec<StorageIo>,
    /// GPU memory of each job.
    pub gpu: Option<Memory>,
    /// How long a job may run.
    pub timeout: Option<Duration>,
    /// How many jobs may run at once.
    pub max_parallel: Option<usize>,
    /// Whether its own results may start it.
    pub allow_loop: bool,
    spec: FunctionSpec,
}

impl Function {
    /// The definition it came from.
    #[must_use]
    pub fn spec(&self) -> &FunctionSpec {
        &self.spec
    }

    /// Buckets that must exist for it.
    pub fn buckets(&self) -> impl Iterator<Item = &str> {
        let mut names: Vec<&str> = self
            .input
            .iter()
            .chain(&self.output)
            .map(|io| io.path.bucket())
            .collect();
        names.sort_unstable();
        names.dedup();
        names.into_iter()
    }

    /// What is allowed but probably not meant.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut all = Vec::new();
        if self.input.is_empty() {
            all.push(format!(
                "function `{}` has no input: no upload can start it",
                self.name
            ));
        }
        if self.output.is_empty() {
            all.push(format!(
                "function `{}` has no output: what its jobs write is thrown away",
                self.name
            ));
        }
        for output in &self.output {
            for input in &self.input {
                if input.path.contains(&output.path) || output.path.contains(&input.path) {
                    all.push(overlap_warning(&self.name, input, output, self.allow_loop));
                }
            }
        }
        all
    }
}

fn overlap_warning(name: &str, input: &StorageIo, output: &StorageIo, allow_loop: bool) -> String {
    let overlap = format!(
        "function `{name}`: output {} overlaps input {}",
        output.path, input.path
    );
    if allow_loop {
        format!("{overlap}; results can start it again, since allow_loop is set")
    } else {
        format!("{overlap}; its own results will not start it")
    }
}

impl TryFrom<FunctionSpec> for Function {
    type Error = FunctionError;

    fn try_from(spec: FunctionSpec) -> Result<Self, FunctionError> {
        check_name(&spec.name)?;
        check_script(&spec)?;
        check_environment(&spec)?;
        let name = &spec.name;
        let range = |what: String| FunctionError::Range {
            name: name.clone(),
            what,
        };
        let quantity = |text: &str| {
            text.parse()
                .map_err(|e: QuantityError| range(e.to_string()))
        };
        let memory = spec
            .memory
            .clone()
            .map_or_else(|| quantity(DEFAULT_MEMORY), Ok)?;
        let cpu = match &spec.cpu {
            Some(cpu) => cpu.clone(),
            None => DEFAULT_CPU
                .parse()
                .map_err(|e: QuantityError| range(e.to_string()))?,
        };
        for (what, zero) in [
            ("memory", memory.get() == 0),
            ("cpu", cpu.get() == 0),
            (
                "gpu.memory",
                spec.gpu.as_ref().is_some_and(|g| g.memory.get() == 0),
            ),
            ("max_parallel", spec.max_parallel == Some(0)),
        ] {
            if zero {
                return Err(range(format!("{what} is zero")));
            }
        }
        Ok(Self {
            input: storage_list(&spec, "input", &spec.input)?,
            output: storage_list(&spec, "output", &spec.output)?,
            timeout: spec
                .timeout
                .as_deref()
                .map(parse_duration)
                .transpose()
                .map_err(range)?,
            max_parallel: spec
                .max_parallel
                .map(|n| usize::try_from(n).unwrap_or(usize::MAX)),
            name: spec.name.clone(),
            script: spec.script.clone(),
            log_level: spec.log_level,
            skip_input: spec.file_stage_in,
            environment: spec.environment.variables.clone(),
            gpu: spec.gpu.as_ref().map(|g| g.memory.clone()),
            allow_loop: spec.allow_loop,
            memory,
            cpu,
            spec,
        })
    }
}

fn check_name(name: &str) -> Result<(), FunctionError> {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let fits = (1..=MAX_NAME).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && !name.ends_with('-')
        && name.chars().all(inner);
    if fits {
        Ok(())
    } else {
        Err(FunctionError::Name(name.to_owned()))
    }
}

fn check_script(spec: &FunctionSpec) -> Result<(), FunctionError> {
    let name = spec.name.clone();
    if spec.script.trim().is_empty() {
        return Err(FunctionError::NoScript(name));
    }
    if spec.script.len() > MAX_SCRIPT {
        return Err(FunctionError::ScriptTooLarge {
            name,
            size: spec.script.len(),
        });
    }
    let first = spec.script.split('\n').next().unwrap_or_default();
    if let Some(interpreter) = first.strip_prefix("#!") {
        let why = if interpreter.trim().is_empty() {
            "the first line of the script names no interpreter"
        } else if first.ends_with('\r') {
            "the script has Windows line endings; save it with Unix ones"
        } else {
            return Ok(());
        };
        return Err(FunctionError::Script { name, why });
    }
    Ok(())
}

fn check_environment(spec: &FunctionSpec) -> Result<(), FunctionError> {
    let letter = |c: char| c.is_ascii_alphabetic() || c == '_';
    for (variable, value) in &spec.environment.variables {
        let why = if RESERVED_VARIABLES.contains(&variable.as_str()) {
            "is set by the platform"
        } else if !variable.starts_with(letter)
            || !variable.chars().all(|c| letter(c) || c.is_ascii_digit())
        {
            "is not a name: letters, digits and underscores, not starting with a digit"
        } else if value.contains('\0') {
            "holds a zero byte"
        } else {
            continue;
        };
        return Err(FunctionError::Variable {
            name: spec.name.clone(),
            variable: variable.clone(),
            why,
        });
    }
    Ok(())
}

fn storage_list(
    spec: &FunctionSpec,
    field: &'static str,
    entries: &[StorageIoSpec],
) -> Result<Vec<StorageIo>, FunctionError> {
    if entries.len() > MAX_ENTRIES {
        let what = format!(
            "{field} has {} entries; the limit is {MAX_ENTRIES}",
            entries.len()
        );
        return Err(FunctionError::Range {
            name: spec.name.clone(),
            what,
        });
    }
    entries
        .iter()
        .map(|entry| storage_entry(spec, field, entry))
        .collect()
}

fn storage_entry(
    spec: &FunctionSpec,
    field: &'static str,
    entry: &StorageIoSpec,
) -> Result<StorageIo, FunctionError> {
    if !matches!(
        entry.storage_provider.as_str(),
        "minio" | "minio.default" | "s3" | "s3.default"
    ) {
        let provider = entry.storage_provider.clone();
        return Err(FunctionError::Provider {
            name: spec.name.clone(),
            provider,
        });
    }
    let path = StoragePath::parse(&entry.path).map_err(|source| FunctionError::Path {
        name: spec.name.clone(),
        field,
        path: entry.path.clone(),
        source,
    })?;
    let filter = NameFilter {
        prefix: entry.prefix.clone(),
        suffix: entry.suffix.clone(),
    };
    Ok(StorageIo { path, filter })
}

/// A span such as `90`, `90s`, `30m`, `2h`.
fn parse_duration(text: &str) -> Result<Duration, String> {
    let trimmed = text.trim();
    let end = trimmed
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(end);
    let seconds = match unit {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => 0,
    };
    let total = number
        .parse::<u64>()
        .ok()
        .and_then(|n| n.checked_mul(seconds))
        .filter(|n| *n > 0);
    total
        .map(Duration::from_secs)
        .ok_or_else(|| format!("timeout `{text}`: write a span such as 90s, 30m or 2h"))
}

#[cfg(test)]
mod tests;
