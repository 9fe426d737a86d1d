//! Movies classified by jobs of a platform that is started for it.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use rgpu_benches::echo::{Run, Scenario};
use rgpu_sched::client::ApiClient;
use rgpu_sched::db::InvocationFilter;
use rgpu_sched::function::parse_yaml;
use rgpu_sched::queue::{Invocation, InvocationId, State};
use rgpu_sched::time::Timestamp;
use rusty_s3::{Bucket, Credentials, S3Action as _, UrlStyle};
use serde::Deserialize;

use super::{Seconds, row};

/// Only a job that hangs takes as long.
const PATIENCE: Duration = Duration::from_secs(1800);

/// How long a signed request holds.
const VALID: Duration = Duration::from_secs(300);

/// Most movies at once.
const JOBS: &str = "4";

/// A job: `$FRONT` puts a GPU before the program, `$LINK` a network before the server. The times stay outside the
/// results, so that the bench need not download them.
const SCRIPT: &str = r#"#!/bin/sh
set -eu
if [ -n "${RGPU_SERVER:-}" ]; then export RGPU_SERVER="$RGPU_SERVER$ECHO_LINK"; fi
exec $ECHO_FRONT "$ECHO_PYTHON" "$ECHO_EXAMPLE/infer.py" --device "$ECHO_DEVICE" \
    --timings "$ECHO_TIMINGS/$RGPU_INVOCATION_ID.json"
"#;

/// A running `rgpu up`, ended when dropped.
pub(super) struct Platform {
    _up: Ended,
    api: ApiClient,
    store: Store,
    folder: PathBuf,
    variables: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Addresses {
    s3: String,
    access_key: String,
    secret_key: String,
    api: String,
}

impl Platform {
    /// Starts it with its data in `folder`.
    pub(super) fn start(folder: &Path, python: &Path, example: &Path) -> anyhow::Result<Self> {
        let rgpu = std::env::current_exe().context("cannot find this executable")?;
        let mut up = Command::new(&rgpu)
            .args(["up", "--json", "--driver", "software", "--jobs", JOBS])
            .args(["--listen", "tcp://127.0.0.1:0"])
            .args(["--s3", "127.0.0.1:0", "--api", "127.0.0.1:0", "--data"])
            .arg(folder.join("platform"))
            .arg("--modules")
            .arg(folder.join("modules"))
            .env("RGPU_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = up.stdout.take().context("no stdout")?;
        let up = Ended(up);
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let addresses: Addresses =
            serde_json::from_str(&line).context("the platform did not start")?;
        let timings = folder.join("timings");
        std::fs::create_dir_all(&timings)?;
        let text = |path: &Path| path.to_str().map(str::to_owned);
        let paths = [
            ("ECHO_PYTHON", python),
            ("ECHO_EXAMPLE", example),
            ("ECHO_TIMINGS", &timings),
            ("ECHO_RGPU", &rgpu),
        ];
        let mut variables = BTreeMap::new();
        for (name, path) in paths {
            let path = text(path).with_context(|| format!("{} is not UTF-8", path.display()))?;
            variables.insert(name.to_owned(), path);
        }
        Ok(Self {
            api: ApiClient::new(&addresses.api)?,
            store: Store::new(&addresses)?,
            _up: up,
            folder: timings,
            variables,
        })
    }

    /// One movie alone.
    pub(super) async fn run(
        &self,
        scenario: Scenario,
        movie: &Path,
        frames: u32,
        delay_ms: f64,
    ) -> anyhow::Result<Run> {
        self.apply(scenario, 1, delay_ms).await?;
        let content = std::fs::read(movie)?;
        let id = self.upload("movie.mp4", content.into()).await?;
        let ended = self.ended(id).await?;
        let seconds = Seconds::read(&self.folder.join(format!("{id}.json")))?;
        let times = &ended.times;
        let passed = |from: Option<_>, to: Option<Timestamp>| {
            from.zip(to)
                .map_or(0.0, |(from, to)| to.since(from).as_secs_f64())
        };
        let before = passed(Some(times.queued), times.input) + passed(times.start, times.run);
        let around = passed(times.input, times.start) + passed(times.output, times.finished);
        let total = passed(Some(times.queued), times.finished);
        let phases = seconds.phases(before, around);
        row(
            (scenario, frames, delay_ms),
            phases,
            total,
            ended.stats.as_ref(),
        )
    }

    /// Some movies at once, on the remote GPU; seconds from the first event to the ends, in order.
    pub(super) async fn together(
        &self,
        number: u32,
        shared: bool,
        movie: &Path,
        delay_ms: f64,
    ) -> anyhow::Result<Vec<f64>> {
        let parallel = if shared { number } else { 1 };
        self.apply(Scenario::PlatformRemote, parallel, delay_ms)
            .await?;
        let content = Bytes::from(std::fs::read(movie)?);
        let mut ids = Vec::new();
        for movie in 0..number {
            ids.push(
                self.upload(&format!("movie-{movie}.mp4"), content.clone())
                    .await?,
            );
        }
        let mut ended = Vec::new();
        for id in ids {
            ended.push(self.ended(id).await?.times);
        }
        let first = ended.iter().map(|times| times.queued).min();
        let first = first.context("no movies")?;
        let mut ends: Vec<_> = ended.iter().filter_map(|times| times.finished).collect();
        ends.sort_unstable();
        let since = |end: Timestamp| end.since(first).as_secs_f64();
        Ok(ends.into_iter().map(since).collect())
    }

    /// The function, for what is measured next.
    async fn apply(&self, scenario: Scenario, parallel: u32, delay_ms: f64) -> anyhow::Result<()> {
        let remote = scenario == Scenario::PlatformRemote;
        let gpu = if remote { "gpu: {memory: 1Gi}\n" } else { "" };
        let yaml = format!(
            "name: echo\nscript: none\nmemory: 3Gi\ncpu: '2'\nmax_parallel: {parallel}\n{gpu}input: [{{path: echo/in}}]\n\
             output: [{{path: echo/out}}]\n"
        );
        let mut spec = parse_yaml(&yaml)?.remove(0);
        spec.script = SCRIPT.to_owned();
        let variables = &mut spec.environment.variables;
        variables.extend(self.variables.clone());
        let front = match scenario {
            Scenario::PlatformLocal => format!("{} local --", self.variables["ECHO_RGPU"]),
            _ => String::new(),
        };
        let device = if scenario == Scenario::PlatformCpu {
            "cpu"
        } else {
            "gpu"
        };
        let link = if delay_ms > 0.0 {
            format!("?delay={delay_ms}ms")
        } else {
            String::new()
        };
        variables.insert("ECHO_FRONT".into(), front);
        variables.insert("ECHO_DEVICE".into(), device.into());
        variables.insert("ECHO_LINK".into(), link);
        self.api.apply(&spec).await?;
        Ok(())
    }

    /// Uploads a movie; the job that it has started.
    async fn upload(&self, name: &str, content: Bytes) -> anyhow::Result<InvocationId> {
        self.store
            .put("echo", &format!("in/{name}"), content)
            .await?;
        let filter = InvocationFilter {
            function: Some("echo".into()),
            limit: Some(1),
            ..InvocationFilter::default()
        };
        let newest = self.api.invocations(&filter).await?;
        Ok(newest.first().context("the upload has started no job")?.id)
    }

    async fn ended(&self, id: InvocationId) -> anyhow::Result<Invocation> {
        let ended = self.api.wait(id, PATIENCE).await?;
        if ended.state == State::Succeeded {
            return Ok(ended);
        }
        let mut log = Vec::new();
        let sink = |bytes: &[u8]| {
            log.extend_from_slice(bytes);
            Ok(())
        };
        self.api.logs(id, false, sink).await?;
        bail!("a job failed; its log:\n{}", String::from_utf8_lossy(&log))
    }
}

/// A process that is asked to end with this value, not killed: it ends its jobs and its workers.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        if let Ok(pid) = i32::try_from(self.0.id()) {
            // SAFETY: a signal to a child that has not been waited for.
            unsafe { libc::kill(pid, libc::SIGTERM) };
        }
        // It may have ended.
        let _ = self.0.wait();
    }
}

/// The object store.
struct Store {
    url: String,
    keys: Credentials,
}

impl Store {
    fn new(addresses: &Addresses) -> anyhow::Result<Self> {
        Ok(Self {
            url: addresses.s3.clone(),
            keys: Credentials::new(&addresses.access_key, &addresses.secret_key),
        })
    }

    async fn put(&self, bucket: &str, key: &str, content: Bytes) -> anyhow::Result<()> {
        let bucket = Bucket::new(
            self.url.parse()?,
            UrlStyle::Path,
            bucket.to_owned(),
            "us-east-1",
        )?;
        let url = bucket.put_object(Some(&self.keys), key).sign(VALID);
        let client = Client::builder(TokioExecutor::new()).build_http();
        let request = hyper::Request::put(url.as_str()).body(Full::new(content))?;
        let answer = client.request(request).await?;
        ensure!(
            answer.status().is_success(),
            "the upload was refused: {}",
            answer.status()
        );
        Ok(())
    }
}
