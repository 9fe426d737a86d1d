//! `rgpu fn apply | ls | logs | rm`: each writes for people to `out`.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use super::{ApiClient, ClientError, functions_table, invocations_table};
use crate::db::InvocationFilter;
use crate::function::{FileError, read_file};
use crate::queue::InvocationId;
use crate::time::Timestamp;

/// How many invocations `ls` shows.
const SHOWN: usize = 20;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The definition cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The scheduler did not do it.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The output cannot be written.
    #[error("output: {0}")]
    Output(#[from] io::Error),
}

/// `fn apply FILE`: every function of the file. `variables` win over those of the file, so that one definition
/// serves many sites.
pub async fn apply_file(
    client: &ApiClient,
    file: &Path,
    variables: &BTreeMap<String, String>,
    out: &mut impl Write,
) -> Result<(), CommandError> {
    for mut spec in read_file(file)? {
        spec.environment.variables.extend(variables.clone());
        let applied = client.apply(&spec).await?;
        writeln!(
            out,
            "{} {}",
            applied.name,
            if applied.created {
                "created"
            } else {
                "updated"
            }
        )?;
        for warning in applied.warnings {
            writeln!(out, "warning: {warning}")?;
        }
    }
    Ok(())
}

/// `fn ls`: functions, and the newest invocations.
pub async fn list(client: &ApiClient, out: &mut impl Write) -> Result<(), CommandError> {
    let functions = client.functions().await?;
    if functions.is_empty() {
        writeln!(out, "no functions; add one with `rgpu fn apply FILE`")?;
    } else {
        write!(out, "{}", functions_table(&functions))?;
    }
    let newest = InvocationFilter {
        limit: Some(SHOWN),
        ..InvocationFilter::default()
    };
    let invocations = client.invocations(&newest).await?;
    if !invocations.is_empty() {
        write!(
            out,
            "\n{}",
            invocations_table(&invocations, Timestamp::now())
        )?;
    }
    Ok(())
}

/// `fn logs ID`: the log, as it grows if `follow`.
pub async fn show_logs(
    client: &ApiClient,
    id: InvocationId,
    follow: bool,
    out: &mut impl Write,
) -> Result<(), CommandError> {
    let mut copy = |bytes: &[u8]| {
        out.write_all(bytes)?;
        out.flush()
    };
    Ok(client.logs(id, follow, &mut copy).await?)
}

/// `fn rm NAME`.
pub async fn remove(
    client: &ApiClient,
    name: &str,
    out: &mut impl Write,
) -> Result<(), CommandError> {
    client.delete(name).await?;
    writeln!(out, "{name} removed")?;
    Ok(())
}
