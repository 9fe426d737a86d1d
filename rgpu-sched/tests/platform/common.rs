//! A scheduler in a temporary folder, a stock S3 client's signatures, and the API's client.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Method, Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rgpu_sched::client::ApiClient;
use rgpu_sched::db::InvocationFilter;
use rgpu_sched::function::{FunctionSpec, parse_yaml};
use rgpu_sched::queue::{Invocation, InvocationId};
use rgpu_sched::{Config, Scheduler, Services};
use rusty_s3::{Bucket, Credentials, S3Action, UrlStyle};
use tempfile::TempDir;

/// Far longer than any step takes; only a hang reaches it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Platform {
    pub(crate) dir: TempDir,
    pub(crate) scheduler: Scheduler,
    pub(crate) api: ApiClient,
    pub(crate) s3: S3,
}

/// A function that takes everything below data/in.
pub(crate) const COPY: &str = "name: copy\ninput: [{path: data/in}]\noutput: [{path: data/out}]\n";

/// What each test may change.
pub(crate) type Change = fn(&mut Config);

pub(crate) fn unchanged(_: &mut Config) {}

impl Platform {
    pub(crate) async fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), unchanged, Services::default()).await
    }

    pub(crate) async fn start_in(dir: TempDir, change: Change, services: Services) -> Self {
        let mut config = Config::new(dir.path().join("data"));
        config.limits.total = 4;
        config.limits.per_function = 4;
        config.kill_grace = Duration::from_secs(1);
        change(&mut config);
        Self::start_with(dir, config, services).await
    }

    pub(crate) async fn start_with(dir: TempDir, config: Config, services: Services) -> Self {
        let scheduler = Scheduler::start_with(config, services).await.unwrap();
        let api = ApiClient::new(&scheduler.api_url()).unwrap();
        let keys = scheduler.credentials();
        let s3 = S3::new(&scheduler.store_url(), &keys.access_key, &keys.secret_key);
        Self {
            dir,
            scheduler,
            api,
            s3,
        }
    }

    /// Stops, and gives the folder back for another start.
    pub(crate) async fn stop(self) -> TempDir {
        self.scheduler.shutdown().await;
        self.dir
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Adds a function with this definition and script.
    pub(crate) async fn function(&self, yaml: &str, script: &str) {
        let spec = spec(yaml, script);
        self.api.apply(&spec).await.unwrap();
    }

    /// Uploads; the invocations of that object so far, newest first.
    pub(crate) async fn upload(&self, bucket: &str, key: &str, content: &str) -> Vec<Invocation> {
        self.s3
            .put(bucket, key, content)
            .await
            .expect_status(StatusCode::OK);
        self.of(bucket, key).await
    }

    pub(crate) async fn of(&self, bucket: &str, key: &str) -> Vec<Invocation> {
        let filter = InvocationFilter {
            bucket: Some(bucket.into()),
            key: Some(key.into()),
            ..Default::default()
        };
        self.api.invocations(&filter).await.unwrap()
    }

    /// Uploads what starts exactly one job.
    pub(crate) async fn start_one(&self, bucket: &str, key: &str, content: &str) -> InvocationId {
        let started = self.upload(bucket, key, content).await;
        assert_eq!(started.len(), 1, "{started:?}");
        started[0].id
    }

    pub(crate) async fn ended(&self, id: InvocationId) -> Invocation {
        let ended = self.api.wait(id, PATIENCE).await.unwrap();
        assert!(ended.state.is_final(), "still running: {ended:?}");
        ended
    }

    pub(crate) async fn run(&self, bucket: &str, key: &str, content: &str) -> Invocation {
        let id = self.start_one(bucket, key, content).await;
        self.ended(id).await
    }

    pub(crate) async fn log(&self, id: InvocationId) -> String {
        let mut text = Vec::new();
        let sink = |bytes: &[u8]| {
            text.extend_from_slice(bytes);
            Ok(())
        };
        self.api.logs(id, false, sink).await.unwrap();
        String::from_utf8(text).unwrap()
    }
}

pub(crate) fn spec(yaml: &str, script: &str) -> FunctionSpec {
    let mut spec = parse_yaml(yaml).unwrap().remove(0);
    spec.script = script.to_owned();
    spec
}

/// A named pipe: a script and a test can wait for each other without a clock.
pub(crate) fn pipe(path: &Path) {
    nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).unwrap();
}

/// What a script writes to a pipe.
pub(crate) async fn read_pipe(path: PathBuf) -> String {
    let read = tokio::task::spawn_blocking(move || std::fs::read_to_string(path).unwrap());
    tokio::time::timeout(PATIENCE, read)
        .await
        .unwrap()
        .unwrap()
        .trim()
        .to_owned()
}

/// Lets a script that reads the pipe go on.
pub(crate) async fn write_pipe(path: PathBuf) {
    let write = tokio::task::spawn_blocking(move || std::fs::write(path, "go\n").unwrap());
    tokio::time::timeout(PATIENCE, write)
        .await
        .unwrap()
        .unwrap();
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn expect_status(&self, status: StatusCode) {
        assert_eq!(self.status, status, "{}", self.text());
    }
}

/// Any HTTP request.
pub(crate) async fn http(
    method: Method,
    url: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let client: Client<HttpConnector, Full<Bytes>> =
        Client::builder(TokioExecutor::new()).build_http();
    let mut request = Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request
        .body(Full::new(Bytes::from(body.to_owned())))
        .unwrap();
    let (head, body) = client.request(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer {
        status: head.status,
        headers: head.headers,
        body,
    }
}

pub(crate) struct S3 {
    url: String,
    keys: Credentials,
}

const VALID: Duration = Duration::from_secs(300);

impl S3 {
    pub(crate) fn new(url: &str, access_key: &str, secret_key: &str) -> Self {
        Self {
            url: url.to_owned(),
            keys: Credentials::new(access_key, secret_key),
        }
    }

    fn bucket(&self, name: &str) -> Bucket {
        Bucket::new(
            self.url.parse().unwrap(),
            UrlStyle::Path,
            name.to_owned(),
            "us-east-1",
        )
        .unwrap()
    }

    pub(crate) async fn put(&self, bucket: &str, key: &str, content: &str) -> Answer {
        let url = self
            .bucket(bucket)
            .put_object(Some(&self.keys), key)
            .sign(VALID);
        http(Method::PUT, url.as_str(), &[], content).await
    }

    pub(crate) async fn get(&self, bucket: &str, key: &str) -> Answer {
        let url = self
            .bucket(bucket)
            .get_object(Some(&self.keys), key)
            .sign(VALID);
        http(Method::GET, url.as_str(), &[], "").await
    }

    pub(crate) async fn delete_bucket(&self, bucket: &str) -> Answer {
        let url = self.bucket(bucket).delete_bucket(&self.keys).sign(VALID);
        http(Method::DELETE, url.as_str(), &[], "").await
    }

    /// An upload in one part.
    pub(crate) async fn put_in_parts(&self, bucket: &str, key: &str, content: &str) -> Answer {
        use rusty_s3::actions::CreateMultipartUpload;
        let at = self.bucket(bucket);
        let url = at
            .create_multipart_upload(Some(&self.keys), key)
            .sign(VALID);
        let begun = http(Method::POST, url.as_str(), &[], "").await;
        begun.expect_status(StatusCode::OK);
        let begun = CreateMultipartUpload::parse_response(&begun.text()).unwrap();
        let url = at
            .upload_part(Some(&self.keys), key, 1, begun.upload_id())
            .sign(VALID);
        let part = http(Method::PUT, url.as_str(), &[], content).await;
        part.expect_status(StatusCode::OK);
        let etag = part.headers["etag"].to_str().unwrap().to_owned();
        let complete = at.complete_multipart_upload(
            Some(&self.keys),
            key,
            begun.upload_id(),
            [etag.as_str()].into_iter(),
        );
        let url = complete.sign(VALID);
        http(Method::POST, url.as_str(), &[], &complete.body()).await
    }
}
