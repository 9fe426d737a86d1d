//! `rgpu up` on this machine, and what a user does with it: the `rgpu fn` commands and a stock S3 client.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::dist::Dist;
use crate::process::{self, Server};
use crate::toolchain::Python;

/// Where examples/despeckle/function.yaml listens.
pub(super) const INPUT: &str = "s3://echo/in/";
/// Where it leaves its results.
pub(super) const OUTPUT: &str = "s3://echo/out/";

const START_LIMIT: Duration = Duration::from_secs(60);
const COMMAND_LIMIT: Duration = Duration::from_secs(120);
const JOB_LIMIT: Duration = Duration::from_secs(600);

/// A running platform.
#[derive(Debug)]
pub(super) struct Platform {
    dist: Dist,
    aws: PathBuf,
    endpoints: BTreeMap<String, String>,
    server: Server,
}

impl Platform {
    /// Starts it on free ports with an empty folder.
    pub(super) fn start(dist: &Dist, python: &Python, folder: &Path) -> Result<Self> {
        let data = folder.join("data");
        if data.exists() {
            std::fs::remove_dir_all(&data)
                .with_context(|| format!("cannot remove {}", data.display()))?;
        }
        std::fs::create_dir_all(&data)?;
        let mut up = dist.command();
        up.arg("up").arg("--data").arg(&data).args(UP_ON_FREE_PORTS);
        let mut server = Server::start("rgpu up", &mut up, &folder.join("up.log"))?;
        let mut endpoints = BTreeMap::new();
        server.read_until(START_LIMIT, |line| {
            endpoints.extend(read_endpoints(line));
            WANTED.iter().all(|name| endpoints.contains_key(*name))
        })?;
        Ok(Self {
            dist: dist.clone(),
            aws: python.aws(),
            endpoints,
            server,
        })
    }

    fn endpoint(&self, name: &str) -> &str {
        self.endpoints.get(name).map_or("", String::as_str)
    }

    /// Where it listens.
    pub(super) fn describe(&self) -> String {
        WANTED
            .iter()
            .filter(|name| !name.contains("key"))
            .map(|name| format!("{name} {}", self.endpoint(name)))
            .collect::<Vec<_>>()
            .join(", ")
    }

    fn function_command(&self, arguments: &[&str]) -> Command {
        let mut command = self.dist.command();
        command
            .arg("fn")
            .args(arguments)
            .args(["--scheduler", self.endpoint("scheduler")]);
        command
    }

    /// Registers a function.
    pub(super) fn apply(&self, definition: &Path) -> Result<()> {
        let file = definition.to_string_lossy();
        process::quiet(&mut self.function_command(&["apply", &file]), COMMAND_LIMIT).map(drop)
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

    /// The invocations, oldest first.
    pub(super) fn invocations(&self) -> Result<Vec<Value>> {
        let text = process::quiet(&mut self.function_command(&["ls", "--json"]), COMMAND_LIMIT)?;
        let value: Value =
            serde_json::from_str(&text).context("`rgpu fn ls --json` did not print JSON")?;
        let list = value.get("invocations").unwrap_or(&value);
        let mut invocations = list
            .as_array()
            .cloned()
            .context("`rgpu fn ls --json` shows no invocations")?;
        invocations.sort_by_key(|i| i["id"].as_i64());
        Ok(invocations)
    }

    /// Waits for the end of the invocation that came after the first `before`.
    ///
    /// The store acknowledges an upload only once its event is recorded, so the invocation is there by now.
    pub(super) fn wait(&mut self, before: usize) -> Result<Value> {
        let started = self
            .invocations()?
            .get(before)
            .cloned()
            .context("the upload started no job")?;
        let id = started["id"].to_string();
        process::quiet(
            &mut self.function_command(&["logs", "--follow", &id]),
            JOB_LIMIT,
        )
        .with_context(|| {
            format!(
                "the job did not end; rgpu up says:\n{}",
                self.server.log_tail(20)
            )
        })?;
        let ended = self
            .invocations()?
            .into_iter()
            .find(|i| i["id"] == started["id"]);
        ended.context("the invocation is gone")
    }

    /// What a job wrote.
    pub(super) fn log(&self, invocation: &Value) -> Result<String> {
        process::quiet(
            &mut self.function_command(&["logs", &invocation["id"].to_string()]),
            COMMAND_LIMIT,
        )
    }
}

/// Options of `rgpu up` that let it choose its ports.
const UP_ON_FREE_PORTS: [&str; 0] = [];
/// What `rgpu up` says of itself.
const WANTED: [&str; 5] = ["gpu", "s3", "access_key", "secret_key", "scheduler"];

/// `key=value` words of a line, or the fields of a JSON object.
fn read_endpoints(line: &str) -> Vec<(String, String)> {
    if let Ok(Value::Object(object)) = serde_json::from_str(line) {
        return object
            .into_iter()
            .filter_map(|(k, v)| Some((k, v.as_str()?.to_owned())))
            .collect();
    }
    let pair = |word: &str| {
        word.split_once('=')
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
    };
    line.split_whitespace().filter_map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_read_in_both_forms() {
        let json = read_endpoints(r#"{"gpu": "tcp://127.0.0.1:1", "n": 3}"#);
        assert_eq!(json, [("gpu".to_owned(), "tcp://127.0.0.1:1".to_owned())]);
        let words = read_endpoints("gpu=tcp://h:1 s3=http://h:2?a=b");
        assert_eq!(words[1], ("s3".to_owned(), "http://h:2?a=b".to_owned()));
        assert!(read_endpoints("starting").is_empty());
    }
}
