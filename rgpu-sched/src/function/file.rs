//! Reading definitions: a plain function, or OSCAR's file form with `functions: oscar: [{cluster: function}]`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::spec::{FunctionSpec, hint};

/// Bounds what reading a definition can cost.
const MAX_FILE: u64 = 4 << 20;

/// Why a definition could not be read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file itself cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Too large to be a definition.
    #[error("{path} has {size} bytes; a definition may have {MAX_FILE}")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        size: u64,
    },
    /// Not a definition.
    #[error("{0}")]
    Syntax(String),
    /// The file holds no function.
    #[error(
        "no function is defined: write a function's fields, or `functions: {{oscar: [{{CLUSTER: FUNCTION}}]}}`"
    )]
    Empty,
}

impl FileError {
    fn syntax(message: &str) -> Self {
        let message = message.trim_end();
        Self::Syntax(
            hint(message).map_or_else(|| message.to_owned(), |h| format!("{message}\n{h}")),
        )
    }
}

/// Only tells the two forms apart.
#[derive(Deserialize)]
struct Probe {
    functions: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OscarFile {
    functions: OscarFunctions,
    #[serde(default, rename = "storage_providers")]
    _storage_providers: Option<IgnoredAny>,
    #[serde(default, rename = "clusters")]
    _clusters: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OscarFunctions {
    oscar: Vec<BTreeMap<String, FunctionSpec>>,
}

/// Reads the functions of a YAML text. Their `script` fields are as written.
pub fn parse_yaml(text: &str) -> Result<Vec<FunctionSpec>, FileError> {
    let read = |e: serde_saphyr::Error| FileError::syntax(&e.to_string());
    let probe: Option<Probe> = serde_saphyr::from_str(text).map_err(read)?;
    let functions = match probe {
        None => return Err(FileError::Empty),
        Some(Probe { functions: None }) => vec![serde_saphyr::from_str(text).map_err(read)?],
        Some(Probe { functions: Some(_) }) => {
            let file: OscarFile = serde_saphyr::from_str(text).map_err(read)?;
            file.functions
                .oscar
                .into_iter()
                .flat_map(BTreeMap::into_values)
                .collect()
        }
    };
    if functions.is_empty() {
        Err(FileError::Empty)
    } else {
        Ok(functions)
    }
}

/// Reads one function in its JSON form.
pub fn parse_json(bytes: &[u8]) -> Result<FunctionSpec, FileError> {
    serde_json::from_slice(bytes).map_err(|e| FileError::syntax(&e.to_string()))
}

/// Reads a YAML file and, for each function, the script that it names, relative to the file.
pub fn read_file(path: &Path) -> Result<Vec<FunctionSpec>, FileError> {
    let mut functions = parse_yaml(&read_text(path)?).map_err(|e| match e {
        FileError::Syntax(message) => FileError::Syntax(format!("{}: {message}", path.display())),
        other => other,
    })?;
    let folder = path.parent().unwrap_or_else(|| Path::new(""));
    for function in functions.iter_mut().filter(|f| !f.script.is_empty()) {
        // A text of several lines can only be the script itself.
        if !function.script.contains('\n') {
            function.script = read_text(&folder.join(&function.script))?;
        }
    }
    Ok(functions)
}

fn read_text(path: &Path) -> Result<String, FileError> {
    let failed = |source| FileError::Read {
        path: path.to_owned(),
        source,
    };
    let size = std::fs::metadata(path).map_err(failed)?.len();
    if size > MAX_FILE {
        return Err(FileError::TooLarge {
            path: path.to_owned(),
            size,
        });
    }
    std::fs::read_to_string(path).map_err(failed)
}
