//! `rgpu fn`: functions and their invocations.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use rgpu_sched::client::{self, ApiClient, DEFAULT_URL};
use rgpu_sched::db::InvocationFilter;
use rgpu_sched::queue::{InvocationId, State};
use serde_json::json;

/// Functions, and what they have done.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The scheduler
    #[arg(long, value_name = "URL", env = "RGPU_API", default_value = DEFAULT_URL, global = true)]
    api: String,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Add or replace the functions of a file
    Apply {
        /// YAML in OSCAR's functions definition language
        file: PathBuf,
        /// Set a variable of the functions' environment; may be repeated, wins over the file's
        #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
        env: Vec<(String, String)>,
    },
    /// List functions and the newest invocations
    Ls {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show the log of an invocation
    Logs {
        /// Number of the invocation
        id: i64,
        /// Go on as the log grows
        #[arg(short, long)]
        follow: bool,
    },
    /// Wait for the next invocation of a function, or for one by its number; fails if it failed
    Wait {
        /// Name of the function, or number of the invocation
        what: String,
        /// Give up after so many seconds
        #[arg(long, default_value_t = 600)]
        timeout: u64,
        /// Print the invocation as JSON
        #[arg(long)]
        json: bool,
    },
    /// Cancel an invocation
    Cancel {
        /// Number of the invocation
        id: i64,
    },
    /// Remove a function
    Rm {
        /// Its name
        name: String,
    },
}

fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.into(), value.into())),
        _ => Err(format!("`{text}` is not NAME=VALUE")),
    }
}

pub(crate) fn main(args: &Args) -> anyhow::Result<()> {
    let api = ApiClient::new(&args.api)?;
    tokio::runtime::Runtime::new()?.block_on(run(&api, &args.command))
}

async fn run(api: &ApiClient, command: &Command) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match command {
        Command::Apply { file, env } => {
            let variables = env.iter().cloned().collect();
            client::apply_file(api, file, &variables, &mut out).await?;
        }
        Command::Ls { json: false } => client::list(api, &mut out).await?,
        Command::Ls { json: true } => {
            let functions = api.functions().await?;
            let invocations = api.invocations(&InvocationFilter::default()).await?;
            let all = json!({"functions": functions, "invocations": invocations});
            writeln!(out, "{all:#}")?;
        }
        Command::Logs { id, follow } => {
            client::show_logs(api, InvocationId(*id), *follow, &mut out).await?
        }
        Command::Wait {
            what,
            timeout,
            json,
        } => wait(api, what, *timeout, *json, &mut out).await?,
        Command::Cancel { id } => {
            api.cancel(InvocationId(*id)).await?;
            writeln!(out, "{id} cancelled")?;
        }
        Command::Rm { name } => client::remove(api, name, &mut out).await?,
    }
    Ok(())
}

/// Waits for an invocation's end; its failure is the command's.
async fn wait(
    api: &ApiClient,
    what: &str,
    timeout: u64,
    json: bool,
    out: &mut impl std::io::Write,
) -> anyhow::Result<()> {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(timeout);
    let id = match what.parse() {
        Ok(id) => InvocationId(id),
        Err(_) => newest(api, what, deadline).await?,
    };
    let left = deadline.saturating_duration_since(tokio::time::Instant::now());
    let invocation = api.wait(id, left).await?;
    if json {
        writeln!(out, "{:#}", serde_json::to_value(&invocation)?)?;
    } else {
        writeln!(out, "invocation {id}: {}", invocation.state.as_str())?;
    }
    match invocation.state {
        State::Succeeded => Ok(()),
        state if state.is_final() => {
            bail!(
                "invocation {id} {}; see `rgpu fn logs {id}`",
                state.as_str().to_lowercase()
            )
        }
        state => bail!(
            "invocation {id} is still {} after {timeout} s",
            state.as_str()
        ),
    }
}

/// The newest invocation of the function `name`, once there is one.
async fn newest(
    api: &ApiClient,
    name: &str,
    deadline: tokio::time::Instant,
) -> anyhow::Result<InvocationId> {
    // A name that does not exist would be waited for in vain.
    api.function(name).await?;
    let mut changes = api.events().await?;
    let filter = InvocationFilter {
        function: Some(name.into()),
        limit: Some(1),
        ..InvocationFilter::default()
    };
    loop {
        if let Some(invocation) = api.invocations(&filter).await?.first() {
            return Ok(invocation.id);
        }
        let change = tokio::time::timeout_at(deadline, changes.next()).await;
        let change = change.with_context(|| format!("no invocation of {name} began in time"))?;
        change.context("the scheduler has ended")?;
    }
}
