//! The S3 operations as we serve them: `s3s-fs` does the work, and this layer adds what it leaves out.
//!
//! Before each operation: keys are judged ([`super::names`]), buckets must exist, a bucket that is deleted must be
//! empty, and folders are not mistaken for objects. After a successful creation the event is sent, and the
//! client has its answer only once the scheduler has recorded it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use s3s::dto::*;
use s3s::{S3, S3Error, S3ErrorCode, S3Request, S3Response, S3Result, s3_error};
use s3s_fs::FileSystem;
use tokio::sync::oneshot;

use super::event::{Chain, Creation, Notice, Notices, ObjectEvent};
use super::names::{Access, KeyError, check_key};
use crate::time::Timestamp;

/// Where a request came from; the server puts it into each request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// The guarded store; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Guard {
    files: Arc<FileSystem>,
    root: PathBuf,
    events: Arc<Events>,
}

/// What is needed to send an event; shared with answers that finish after their request.
#[derive(Debug)]
struct Events {
    notices: Notices,
    last: AtomicU64,
}

impl Events {
    /// A number above all earlier ones, also those of earlier runs.
    fn next_sequencer(&self, now: Timestamp) -> u64 {
        let now = u64::try_from(now.as_micros()).unwrap_or(0);
        let step = |last: u64| Some(now.max(last.saturating_add(1)));
        let last = self
            .last
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, step)
            .unwrap_or_else(|l| l);
        now.max(last.saturating_add(1))
    }

    /// Sends the event and waits until it is recorded.
    async fn send(&self, event: ObjectEvent) -> S3Result<()> {
        let (accepted, recorded) = oneshot::channel();
        let refused = || {
            s3_error!(
                ServiceUnavailable,
                "the object is stored but its event was not; upload it again"
            )
        };
        self.notices
            .send(Notice { event, accepted })
            .await
            .map_err(|_| refused())?;
        recorded.await.map_err(|_| refused())
    }
}

/// What is known of a creation before it happens.
struct Draft {
    bucket: String,
    key: String,
    creation: Creation,
    source: String,
    principal: String,
    chain: Chain,
}

impl Draft {
    fn of<T>(req: &S3Request<T>, bucket: &str, key: &str, creation: Creation) -> Self {
        Self {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            creation,
            source: req
                .extensions
                .get::<Peer>()
                .map(|p| p.0.ip().to_string())
                .unwrap_or_default(),
            principal: req
                .credentials
                .as_ref()
                .map(|c| c.access_key.clone())
                .unwrap_or_default(),
            chain: req.extensions.get::<Chain>().cloned().unwrap_or_default(),
        }
    }
}

fn bad_key(error: KeyError) -> S3Error {
    let code = match error {
        KeyError::TooLong => S3ErrorCode::KeyTooLongError,
        KeyError::Empty | KeyError::Parts => S3ErrorCode::InvalidArgument,
    };
    S3Error::with_message(code, error.to_string())
}

impl Guard {
    pub(crate) fn new(files: FileSystem, root: PathBuf, notices: Notices) -> Self {
        Self {
            files: Arc::new(files),
            root,
            events: Arc::new(Events {
                notices,
                last: AtomicU64::new(0),
            }),
        }
    }

    fn bucket_path(&self, bucket: &str) -> S3Result<PathBuf> {
        if s3s::path::check_bucket_name(bucket) {
            Ok(self.root.join(bucket))
        } else {
            Err(s3_error!(InvalidBucketName))
        }
    }

    async fn existing_bucket(&self, bucket: &str) -> S3Result<PathBuf> {
        let path = self.bucket_path(bucket)?;
        if is_dir(&path).await {
            Ok(path)
        } else {
            Err(s3_error!(NoSuchBucket))
        }
    }

    /// The file that an existing object lives in; folders are not objects.
    pub(super) async fn existing_object(&self, bucket: &str, key: &str) -> S3Result<PathBuf> {
        check_key(bucket, key, Access::Whole).map_err(bad_key)?;
        let path = self.existing_bucket(bucket).await?.join(key);
        let is_file = tokio::fs::metadata(&path).await.is_ok_and(|m| m.is_file());
        if is_file && !key.ends_with('/') {
            Ok(path)
        } else {
            Err(s3_error!(NoSuchKey))
        }
    }

    /// The file that an object is about to be written to. A folder cannot be both a folder and an object.
    async fn destination(&self, bucket: &str, key: &str, access: Access) -> S3Result<PathBuf> {
        check_key(bucket, key, access).map_err(bad_key)?;
        let root = self.existing_bucket(bucket).await?;
        let path = root.join(key);
        if !key.ends_with('/') && is_dir(&path).await && !remove_empty_tree(path.clone()).await {
            return Err(conflict(key, "holds other objects"));
        }
        let mut above = path.parent();
        while let Some(folder) = above.filter(|f| *f != root) {
            if tokio::fs::metadata(folder).await.is_ok_and(|m| !m.is_dir()) {
                let name = folder.strip_prefix(&root).unwrap_or(folder).display();
                return Err(conflict(&name.to_string(), "is itself an object"));
            }
            above = folder.parent();
        }
        Ok(path)
    }

    /// Sends the event of a finished creation.
    async fn created(&self, draft: Draft, etag: Option<ETag>) -> S3Result<()> {
        send_created(&self.events, &self.root, draft, etag).await
    }

    async fn copy_source(&self, source: &CopySource) -> S3Result<()> {
        match source {
            CopySource::Bucket { bucket, key, .. } => {
                self.existing_object(bucket, key).await.map(drop)
            }
            _ => Err(s3_error!(
                NotImplemented,
                "only bucket/key copy sources exist here"
            )),
        }
    }
}

async fn send_created(
    events: &Events,
    root: &Path,
    draft: Draft,
    etag: Option<ETag>,
) -> S3Result<()> {
    let Draft {
        bucket,
        key,
        creation,
        source,
        principal,
        chain,
    } = draft;
    if key.ends_with('/') {
        return Ok(());
    }
    let size = tokio::fs::metadata(root.join(&bucket).join(&key))
        .await
        .map_err(S3Error::internal_error)?
        .len();
    let time = Timestamp::now();
    let sequencer = events.next_sequencer(time);
    let etag = etag.map(ETag::into_value).unwrap_or_default();
    events
        .send(ObjectEvent {
            bucket,
            key,
            size,
            etag,
            creation,
            time,
            sequencer,
            source,
            principal,
            chain,
        })
        .await
}

fn conflict(name: &str, why: &str) -> S3Error {
    let message =
        format!("`{name}` {why}; this store keeps objects as files, so one name cannot be both");
    S3Error::with_message(S3ErrorCode::InvalidArgument, message)
}

async fn is_dir(path: &Path) -> bool {
    tokio::fs::metadata(path).await.is_ok_and(|m| m.is_dir())
}

/// Removes a folder that holds nothing but folders; says whether it is gone.
async fn remove_empty_tree(path: PathBuf) -> bool {
    fn remove(path: &Path) -> std::io::Result<()> {
        for entry in std::fs::read_dir(path)? {
            remove(&entry?.path())?;
        }
        std::fs::remove_dir(path)
    }
    !holds_file(path.clone()).await
        && tokio::task::spawn_blocking(move || remove(&path).is_ok())
            .await
            .unwrap_or(false)
}

/// Whether any file lies below `path`.
async fn holds_file(path: PathBuf) -> bool {
    fn any(path: &Path) -> bool {
        let Ok(entries) = std::fs::read_dir(path) else {
            return false;
        };
        entries.flatten().any(|e| match e.file_type() {
            Ok(t) if t.is_dir() => any(&e.path()),
            _ => true,
        })
    }
    tokio::task::spawn_blocking(move || any(&path))
        .await
        .unwrap_or(true)
}

#[async_trait::async_trait]
impl S3 for Guard {
    async fn create_bucket(
        &self,
        req: S3Request<CreateBucketInput>,
    ) -> S3Result<S3Response<CreateBucketOutput>> {
        let path = self.bucket_path(&req.input.bucket)?;
        if is_dir(&path).await {
            return Err(s3_error!(BucketAlreadyOwnedByYou));
        }
        self.files.create_bucket(req).await
    }

    async fn delete_bucket(
        &self,
        req: S3Request<DeleteBucketInput>,
    ) -> S3Result<S3Response<DeleteBucketOutput>> {
        let path = self.existing_bucket(&req.input.bucket).await?;
        if holds_file(path).await {
            return Err(s3_error!(BucketNotEmpty));
        }
        self.files.delete_bucket(req).await
    }

    async fn head_bucket(
        &self,
        req: S3Request<HeadBucketInput>,
    ) -> S3Result<S3Response<HeadBucketOutput>> {
        self.existing_bucket(&req.input.bucket).await?;
        self.files.head_bucket(req).await
    }

    async fn get_bucket_location(
        &self,
        req: S3Request<GetBucketLocationInput>,
    ) -> S3Result<S3Response<GetBucketLocationOutput>> {
        self.existing_bucket(&req.input.bucket).await?;
        self.files.get_bucket_location(req).await
    }

    async fn list_buckets(
        &self,
        req: S3Request<ListBucketsInput>,
    ) -> S3Result<S3Response<ListBucketsOutput>> {
        self.files.list_buckets(req).await
    }

    async fn list_objects(
        &self,
        req: S3Request<ListObjectsInput>,
    ) -> S3Result<S3Response<ListObjectsOutput>> {
        self.existing_bucket(&req.input.bucket).await?;
        self.files.list_objects(req).await
    }

    async fn list_objects_v2(
        &self,
        req: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        self.existing_bucket(&req.input.bucket).await?;
        self.files.list_objects_v2(req).await
    }

    async fn get_object(
        &self,
        req: S3Request<GetObjectInput>,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        self.existing_object(&req.input.bucket, &req.input.key)
            .await?;
        self.files.get_object(req).await
    }

    async fn head_object(
        &self,
        req: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        if req.input.key.ends_with('/') {
            check_key(&req.input.bucket, &req.input.key, Access::Whole).map_err(bad_key)?;
        } else {
            self.existing_object(&req.input.bucket, &req.input.key)
                .await?;
        }
        self.files.head_object(req).await
    }

    async fn delete_object(
        &self,
        req: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        let (bucket, key) = (&req.input.bucket, &req.input.key);
        check_key(bucket, key, Access::Whole).map_err(bad_key)?;
        let path = self.existing_bucket(bucket).await?.join(key);
        if !key.ends_with('/') && is_dir(&path).await {
            // A folder is no object, and deleting what is not there succeeds.
            return Ok(S3Response::new(DeleteObjectOutput::default()));
        }
        self.files.delete_object(req).await
    }

    async fn delete_objects(
        &self,
        mut req: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let root = self.existing_bucket(&req.input.bucket).await?;
        let mut folders = Vec::new();
        for object in &req.input.delete.objects {
            check_key(&req.input.bucket, &object.key, Access::Whole).map_err(bad_key)?;
            if !object.key.ends_with('/') && is_dir(&root.join(&object.key)).await {
                folders.push(object.key.clone());
            }
        }
        req.input
            .delete
            .objects
            .retain(|o| !folders.contains(&o.key));
        let mut response = self.files.delete_objects(req).await?;
        let gone = folders.into_iter().map(|key| DeletedObject {
            key: Some(key),
            ..Default::default()
        });
        response.output.deleted.get_or_insert_default().extend(gone);
        Ok(response)
    }

    async fn put_object(
        &self,
        req: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        let draft = Draft::of(&req, &req.input.bucket, &req.input.key, Creation::Put);
        let path = self
            .destination(&draft.bucket, &draft.key, Access::Whole)
            .await?;
        let response = match self.files.put_object(req).await {
            Err(e) if *e.code() == S3ErrorCode::BadDigest => {
                // s3s-fs finds the damage after it has put the file in its place.
                tokio::fs::remove_file(&path).await.ok();
                return Err(e);
            }
            other => other?,
        };
        self.created(draft, response.output.e_tag.clone()).await?;
        Ok(response)
    }

    async fn post_object(
        &self,
        _req: S3Request<PostObjectInput>,
    ) -> S3Result<S3Response<PostObjectOutput>> {
        Err(s3_error!(
            NotImplemented,
            "uploads by browser form are not supported; use PUT"
        ))
    }

    async fn copy_object(
        &self,
        req: S3Request<CopyObjectInput>,
    ) -> S3Result<S3Response<CopyObjectOutput>> {
        self.copy_source(&req.input.copy_source).await?;
        let draft = Draft::of(&req, &req.input.bucket, &req.input.key, Creation::Copy);
        self.destination(&draft.bucket, &draft.key, Access::Whole)
            .await?;
        let response = self.files.copy_object(req).await?;
        let etag = response
            .output
            .copy_object_result
            .as_ref()
            .and_then(|r| r.e_tag.clone());
        self.created(draft, etag).await?;
        Ok(response)
    }

    async fn create_multipart_upload(
        &self,
        req: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        if req.input.key.ends_with('/') {
            return Err(s3_error!(
                InvalidArgument,
                "a folder cannot be uploaded in parts"
            ));
        }
        self.destination(&req.input.bucket, &req.input.key, Access::InParts)
            .await?;
        self.files.create_multipart_upload(req).await
    }

    async fn upload_part(
        &self,
        req: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        self.destination(&req.input.bucket, &req.input.key, Access::InParts)
            .await?;
        check_upload(&req.input.upload_id)?;
        self.files.upload_part(req).await
    }

    async fn upload_part_copy(
        &self,
        req: S3Request<UploadPartCopyInput>,
    ) -> S3Result<S3Response<UploadPartCopyOutput>> {
        self.copy_source(&req.input.copy_source).await?;
        self.destination(&req.input.bucket, &req.input.key, Access::InParts)
            .await?;
        check_upload(&req.input.upload_id)?;
        self.files.upload_part_copy(req).await
    }

    async fn list_parts(
        &self,
        req: S3Request<ListPartsInput>,
    ) -> S3Result<S3Response<ListPartsOutput>> {
        self.existing_bucket(&req.input.bucket).await?;
        check_upload(&req.input.upload_id)?;
        self.files.list_parts(req).await
    }

    async fn complete_multipart_upload(
        &self,
        req: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let draft = Draft::of(
            &req,
            &req.input.bucket,
            &req.input.key,
            Creation::CompleteMultipartUpload,
        );
        self.destination(&draft.bucket, &draft.key, Access::InParts)
            .await?;
        check_upload(&req.input.upload_id)?;
        let mut response = self.files.complete_multipart_upload(req).await?;
        let Some(finish) = response.output.future.take() else {
            self.created(draft, response.output.e_tag.clone()).await?;
            return Ok(response);
        };
        // The answer's head is sent before the object is whole; its end waits for the event.
        let (events, root) = (Arc::clone(&self.events), self.root.clone());
        response.output.future = Some(Box::pin(async move {
            let output = finish.await?;
            send_created(&events, &root, draft, output.e_tag.clone()).await?;
            Ok(output)
        }));
        Ok(response)
    }

    async fn abort_multipart_upload(
        &self,
        req: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        check_key(&req.input.bucket, &req.input.key, Access::InParts).map_err(bad_key)?;
        check_upload(&req.input.upload_id)?;
        self.files.abort_multipart_upload(req).await
    }
}

/// Upload ids become parts of file names.
fn check_upload(id: &str) -> S3Result<()> {
    let fits = id.len() == 36 && id.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    if fits {
        Ok(())
    } else {
        Err(s3_error!(NoSuchUpload))
    }
}
