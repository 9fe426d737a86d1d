//! A function as its author writes it: the fields of OSCAR's functions definition language that we carry out
//! and our extensions. What we know and do not carry out is refused with a reason.

use std::collections::BTreeMap;
use std::fmt;

use serde::de;
use serde::{Deserialize, Deserializer, Serialize};

use super::quantity::{Cpu, Memory, scalar};

/// A function definition, not yet validated; also the JSON form in the API and the database.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FunctionSpec {
    /// The function's name.
    pub name: String,
    /// The container image. Recorded; jobs that run as local processes do not use it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// In a file, the path of the script; in the API, its text.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub script: String,
    /// Memory limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Memory>,
    /// Processor limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Cpu>,
    /// What the launcher writes to the job's log beside the script's own output.
    #[serde(default)]
    pub log_level: LogLevel,
    /// Do not download the input object.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub file_stage_in: bool,
    /// Variables for the script.
    #[serde(default)]
    pub environment: EnvironmentSpec,
    /// Where uploads start the function.
    #[serde(default)]
    pub input: Vec<StorageIoSpec>,
    /// Where results go.
    #[serde(default)]
    pub output: Vec<StorageIoSpec>,
    /// Free-form labels, kept with the function.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "scalar_map"
    )]
    pub labels: BTreeMap<String, String>,
    /// Free-form annotations, kept with the function.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "scalar_map"
    )]
    pub annotations: BTreeMap<String, String>,
    /// Extension: the share of a remote GPU that each job needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu: Option<GpuSpec>,
    /// Extension: how long a job may run, such as `90s`, `30m`, `2h`.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "optional_scalar"
    )]
    pub timeout: Option<String>,
    /// Extension: how many jobs of this function may run at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_parallel: Option<u32>,
    /// Extension: let results of this function start it again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_loop: bool,
}

/// The share of a GPU that a job asks for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GpuSpec {
    /// GPU memory.
    pub memory: Memory,
}

/// `environment`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnvironmentSpec {
    /// Names and values.
    #[serde(default, alias = "Variables", deserialize_with = "scalar_map")]
    pub variables: BTreeMap<String, String>,
}

/// One entry of `input` or `output`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StorageIoSpec {
    /// Which store; only the built-in one.
    #[serde(default = "default_provider")]
    pub storage_provider: String,
    /// `bucket/folder`.
    pub path: String,
    /// Accepted beginnings of names.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "one_or_many"
    )]
    pub prefix: Vec<String>,
    /// Accepted endings of names.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "one_or_many"
    )]
    pub suffix: Vec<String>,
}

fn default_provider() -> String {
    "minio.default".to_owned()
}

/// Levels of `log_level`, as OSCAR names them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum LogLevel {
    /// Everything.
    #[serde(alias = "notset")]
    NotSet,
    /// Everything.
    #[serde(alias = "debug")]
    Debug,
    /// The steps of the job.
    #[default]
    #[serde(alias = "info")]
    Info,
    /// What may be wrong.
    #[serde(alias = "warning")]
    Warning,
    /// Why the job failed.
    #[serde(alias = "error")]
    Error,
    /// Only the script's own output.
    #[serde(alias = "critical")]
    Critical,
}

impl LogLevel {
    /// The level's name in `LOG_LEVEL`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotSet => "NOTSET",
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warning => "WARNING",
            Self::Error => "ERROR",
            Self::Critical => "CRITICAL",
        }
    }
}

/// Text or a number, wrapped so that it can sit in containers.
struct Scalar(String);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        scalar(deserializer).map(Self)
    }
}

fn optional_scalar<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(Option::<Scalar>::deserialize(deserializer)?.map(|s| s.0))
}

fn scalar_map<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, String>, D::Error> {
    let map = Option::<BTreeMap<String, Scalar>>::deserialize(deserializer)?;
    Ok(map
        .unwrap_or_default()
        .into_iter()
        .map(|(k, v)| (k, v.0))
        .collect())
}

/// A list of texts; a single text counts as a list of one.
fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    struct Visitor;
    impl<'de> de::Visitor<'de> for Visitor {
        type Value = Vec<String>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("text or a list of texts")
        }
        fn visit_str<E: de::Error>(self, v: &str) -> Result<Vec<String>, E> {
            Ok(vec![v.to_owned()])
        }
        fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<String>, A::Error> {
            let mut all = Vec::new();
            while let Some(Scalar(one)) = seq.next_element()? {
                all.push(one);
            }
            Ok(all)
        }
    }
    deserializer.deserialize_any(Visitor)
}

/// Fields of OSCAR's language that are refused, and what to do instead.
const REFUSED: &[(&str, &str)] = &[
    (
        "alpine",
        "leave it out: no supervisor is added to the image",
    ),
    (
        "allowed_users",
        "there are no users yet; whoever reaches the API may use every function",
    ),
    ("bucket_list", "there are no users yet"),
    ("cluster_id", "there is one cluster"),
    ("delegation", "there is one cluster"),
    (
        "enable_gpu",
        "ask for a share of a remote GPU with `gpu: {memory: 1Gi}`",
    ),
    ("enable_sgx", "enclaves are not supported"),
    ("ephemeral_storage_request", "disk limits are not supported"),
    ("expose", "exposed services are not supported"),
    ("federation", "there is one cluster"),
    ("image_prefetch", "leave it out: jobs are local processes"),
    (
        "image_pull_secrets",
        "leave it out: jobs are local processes",
    ),
    ("interlink_node_name", "there is one cluster"),
    ("isolation_level", "there are no users yet"),
    ("kserve", "exposed services are not supported"),
    (
        "mount",
        "mounting a bucket is not supported; the input object is downloaded to $INPUT_FILE_PATH",
    ),
    ("rescheduler_threshold", "there is one cluster"),
    (
        "secrets",
        "secrets are not stored; give them to the scheduler as job variables",
    ),
    ("synchronous", "functions are started by uploads only"),
    ("total_cpu", "use `max_parallel`"),
    ("total_memory", "use `max_parallel`"),
    ("visibility", "there are no users yet"),
    ("vo", "there are no users yet"),
    ("volume", "volumes are not supported"),
];

/// Fields that people can mean.
const KNOWN: &[&str] = &[
    "name",
    "image",
    "script",
    "memory",
    "cpu",
    "log_level",
    "file_stage_in",
    "environment",
    "variables",
    "input",
    "output",
    "labels",
    "annotations",
    "gpu",
    "timeout",
    "max_parallel",
    "allow_loop",
    "storage_provider",
    "path",
    "prefix",
    "suffix",
    "functions",
    "oscar",
];

/// What to tell the author of a definition whose field is unknown, from the parser's message.
pub(super) fn hint(message: &str) -> Option<String> {
    let (_, rest) = message.split_once("unknown field `")?;
    let (field, _) = rest.split_once('`')?;
    if let Some((_, why)) = REFUSED.iter().find(|(name, _)| *name == field) {
        return Some(format!(
            "`{field}` belongs to OSCAR's language but rgpu does not carry it out: {why}"
        ));
    }
    let nearest = KNOWN.iter().min_by_key(|known| distance(known, field))?;
    (distance(nearest, field) <= 2).then(|| format!("did you mean `{nearest}`?"))
}

/// Edit distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_edits() {
        assert_eq!(distance("memory", "memory"), 0);
        assert_eq!(distance("memory", "memroy"), 2);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("gpu", "cpu"), 1);
    }

    #[test]
    fn hints_tell_what_to_do() {
        assert!(
            hint("unknown field `enable_gpu`, expected …")
                .unwrap()
                .contains("gpu: {memory")
        );
        assert_eq!(
            hint("unknown field `imput`, expected …").unwrap(),
            "did you mean `input`?"
        );
        assert_eq!(hint("unknown field `zzzzzzzz`, expected …"), None);
        assert_eq!(hint("something else"), None);
    }
}
