//! `rgpu up` on this machine, and what a user does with it: the `rgpu fn` commands and a stock S3 client.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::dist::Dist;
use crate::process::{self, Server};
use crate::toolchain::Python;

const START_LIMIT: Duration = Duration::from_secs(60);
const COMMAND_LIMIT: Duration = Duration::from_secs(120);
const JOB_LIMIT: Duration = Duration::from_secs(600);

/// A running platform.
#[derive(Debug)]
pub(super) struct Platform {
    dist: Dist,
    aws: PathBuf,
    endpoints: Value,
    server: Server,
}

impl Platform {
    /// Starts it on free ports with an empty folder; `more` goes to `rgpu up`.
    pub(super) fn start(
        dist: &Dist,
        python: &Python,
        folder: &Path,
        more: &[&str],
    ) -> Result<Self> {
        let data = folder.join("data");
        if data.exists() {
            std::fs::remove_dir_all(&data)
                .with_context(|| format!("cannot remove {}", data.display()))?;
        }
        let mut up = dist.command();
        up.args(["up", "--json", "--listen", "tcp://127.0.0.1:0"]);
        up.args(["--s3", "127.0.0.1:0", "--api", "127.0.0.1:0", "--data"])
            .arg(&data);
        up.arg("--modules").arg(folder.join("modules")).args(more);
        let mut server = Server::start("rgpu up", &mut up, &folder.join("up.log"))?;
        let lines = server.read_until(START_LIMIT, |line| line.starts_with('{'))?;
        let line = lines.last().map_or("", String::as_str);
        let endpoints =
            serde_json::from_str(line).context("`rgpu up --json` did not print JSON")?;
        Ok(Self {
            dist: dist.clone(),
            aws: python.aws(),
            endpoints,
            server,
        })
    }

    fn endpoint(&self, name: &str) -> &str {
        self.endpoints[name].as_str().unwrap_or_default()
    }

    /// Where it listens.
    pub(super) fn describe(&self) -> String {
        let gpu = self.endpoints["gpu_servers"][0]
            .as_str()
            .unwrap_or("nowhere");
        format!(
            "GPU server {gpu}, object store {}, scheduler {}",
            self.endpoint("s3"),
            self.endpoint("api")
        )
    }

    fn function_command(&self, arguments: &[&str]) -> Command {
        let mut command = self.dist.command();
        command
            .args(["fn", "--api", self.endpoint("api")])
            .args(arguments);
        command
    }

    /// Registers a function, with variables that fit it to this machine.
    pub(super) fn apply(&self, definition: &Path, variables: &[(&str, String)]) -> Result<()> {
        let mut command = self.function_command(&["apply"]);
        command.arg(definition);
        for (name, value) in variables {
            command.arg("--env").arg(format!("{name}={value}"));
        }
        process::quiet(&mut command, COMMAND_LIMIT).map(drop)
    }

    /// The client's command for this store.
    fn aws(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.aws);
        command
            .args(["--endpoint-url", self.endpoint("s3")])
            .args(arguments);
        command.env("AWS_ACCESS_KEY_ID", self.endpoint("access_key"));
        command.env("AWS_SECRET_ACCESS_KEY", self.endpoint("secret_key"));
        command.env("AWS_DEFAULT_REGION", "us-east-1");
        // Neither the user's own settings nor a search for credentials on a network.
        command
            .env("AWS_CONFIG_FILE", "/dev/null")
            .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
        command
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env_remove("AWS_PROFILE");
        command
    }

    /// Uploads a file by one ordinary PUT.
    pub(super) fn put(&self, file: &Path, to: &str) -> Result<()> {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let target = format!("{}{name}", to.trim_start_matches("s3://"));
        let (bucket, key) = target
            .split_once('/')
            .context("a path in a bucket is needed")?;
        let body = file.to_string_lossy();
        let arguments = [
            "s3api",
            "put-object",
            "--bucket",
            bucket,
            "--key",
            key,
            "--body",
            &body,
        ];
        process::quiet(&mut self.aws(&arguments), COMMAND_LIMIT).map(drop)
    }

    /// Uploads all files of a folder side by side.
    pub(super) fn put_all(&self, folder: &Path, to: &str) -> Result<()> {
        let from = folder.to_string_lossy();
        let arguments = ["s3", "cp", "--recursive", "--only-show-errors", &from, to];
        process::quiet(&mut self.aws(&arguments), COMMAND_LIMIT).map(drop)
    }

    /// Downloads all that lies under a path into an empty folder.
    pub(super) fn fetch(&self, from: &str, to: &Path) -> Result<()> {
        if to.exists() {
            std::fs::remove_dir_all(to)?;
        }
        let folder = to.to_string_lossy();
        let arguments = [
            "s3",
            "cp",
            "--recursive",
            "--only-show-errors",
            from,
            &folder,
        ];
        process::quiet(&mut self.aws(&arguments), COMMAND_LIMIT).map(drop)
    }

    /// The invocations there are, newest first.
    pub(super) fn invocations(&self) -> Result<Vec<Value>> {
        let listed = process::quiet(&mut self.function_command(&["ls", "--json"]), COMMAND_LIMIT)?;
        let listed: Value = serde_json::from_str(&listed).context("`rgpu fn ls --json`")?;
        let all = listed["invocations"].as_array();
        Ok(all.context("no list of invocations")?.clone())
    }

    /// Waits for the end of an invocation, of a function's only one or by its number, and returns what is known of it.
    pub(super) fn wait(&self, what: &str) -> Result<Value> {
        let limit = JOB_LIMIT.as_secs().to_string();
        let arguments = ["wait", what, "--json", "--timeout", &limit];
        let output = process::capture(
            &mut self.function_command(&arguments),
            JOB_LIMIT + COMMAND_LIMIT,
        )?;
        // The command fails if the invocation did; what it prints tells why.
        serde_json::from_str(&output.stdout).with_context(|| {
            let said = output.stderr.trim();
            format!(
                "the job did not end: {said}\nrgpu up says:\n{}",
                self.server.log_tail(20)
            )
        })
    }

    /// Fails with what a job wrote, unless it succeeded.
    pub(super) fn check(&self, invocation: &Value) -> Result<()> {
        if invocation["state"] == "Succeeded" {
            return Ok(());
        }
        let log = self.log(invocation).unwrap_or_default();
        bail!(
            "the job is {}: {}\n{log}",
            invocation["state"],
            invocation["error"]
        )
    }

    /// What a job wrote.
    fn log(&self, invocation: &Value) -> Result<String> {
        process::quiet(
            &mut self.function_command(&["logs", &invocation["id"].to_string()]),
            COMMAND_LIMIT,
        )
    }
}
