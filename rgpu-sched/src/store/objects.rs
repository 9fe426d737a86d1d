//! The store as the launcher uses it: whole files in and out, without the network.

use std::path::Path;

use s3s::dto::{CreateBucketInput, ETag, HeadObjectInput, PutObjectInput, StreamingBlob};
use s3s::{S3, S3ErrorCode, S3Request};
use tokio::fs::File;
use tokio_util::io::ReaderStream;

use super::event::Chain;
use super::guard::Guard;

/// Why an object could not be moved.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// The object is not there.
    #[error("s3://{bucket}/{key} does not exist")]
    Missing {
        /// Its bucket.
        bucket: String,
        /// Its key.
        key: String,
    },
    /// The store refused or failed.
    #[error("s3://{bucket}/{key}: {message}")]
    Store {
        /// The bucket.
        bucket: String,
        /// The key; empty for the bucket itself.
        key: String,
        /// What it said.
        message: String,
    },
    /// The local file failed.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// An object store as the launcher needs it.
#[async_trait::async_trait]
pub trait ObjectStore: Send + Sync + std::fmt::Debug {
    /// Creates the bucket unless it is there.
    async fn ensure_bucket(&self, bucket: &str) -> Result<(), ObjectError>;
    /// Copies the object to a file; returns its size and entity tag.
    async fn download(
        &self,
        bucket: &str,
        key: &str,
        file: &Path,
    ) -> Result<(u64, String), ObjectError>;
    /// Makes an object of the file; returns its size. `chain` says which functions led to it.
    async fn upload(
        &self,
        file: &Path,
        bucket: &str,
        key: &str,
        chain: &Chain,
    ) -> Result<u64, ObjectError>;
}

fn request<T>(input: T) -> S3Request<T> {
    S3Request {
        input,
        method: hyper::Method::GET,
        uri: hyper::Uri::from_static("/"),
        headers: hyper::HeaderMap::new(),
        extensions: hyper::http::Extensions::new(),
        credentials: None,
        region: None,
        service: None,
        trailing_headers: None,
    }
}

fn failed(bucket: &str, key: &str, error: &s3s::S3Error) -> ObjectError {
    let (bucket, key) = (bucket.to_owned(), key.to_owned());
    match error.code() {
        S3ErrorCode::NoSuchKey | S3ErrorCode::NoSuchBucket => ObjectError::Missing { bucket, key },
        code => {
            let message = error
                .message()
                .map_or_else(|| code.as_str().to_owned(), str::to_owned);
            ObjectError::Store {
                bucket,
                key,
                message,
            }
        }
    }
}

#[async_trait::async_trait]
impl ObjectStore for Guard {
    async fn ensure_bucket(&self, bucket: &str) -> Result<(), ObjectError> {
        let input = CreateBucketInput {
            bucket: bucket.to_owned(),
            ..Default::default()
        };
        match self.create_bucket(request(input)).await {
            Ok(_) => Ok(()),
            Err(e)
                if matches!(
                    e.code(),
                    S3ErrorCode::BucketAlreadyOwnedByYou | S3ErrorCode::BucketAlreadyExists
                ) =>
            {
                Ok(())
            }
            Err(e) => Err(failed(bucket, "", &e)),
        }
    }

    async fn download(
        &self,
        bucket: &str,
        key: &str,
        file: &Path,
    ) -> Result<(u64, String), ObjectError> {
        let refused = |e: &s3s::S3Error| failed(bucket, key, e);
        let input = HeadObjectInput {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            ..Default::default()
        };
        let head = self
            .head_object(request(input))
            .await
            .map_err(|e| refused(&e))?
            .output;
        let object = self
            .existing_object(bucket, key)
            .await
            .map_err(|e| refused(&e))?;
        // The kernel copies faster than a stream would, or only notes that the two files share their blocks.
        let size = tokio::fs::copy(&object, file)
            .await
            .map_err(|source| ObjectError::File {
                path: file.to_owned(),
                source,
            })?;
        Ok((size, head.e_tag.map(ETag::into_value).unwrap_or_default()))
    }

    async fn upload(
        &self,
        file: &Path,
        bucket: &str,
        key: &str,
        chain: &Chain,
    ) -> Result<u64, ObjectError> {
        let io = |source| ObjectError::File {
            path: file.to_owned(),
            source,
        };
        let source = File::open(file).await.map_err(io)?;
        let size = source.metadata().await.map_err(io)?.len();
        let input = PutObjectInput {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            body: Some(StreamingBlob::wrap(ReaderStream::with_capacity(
                source,
                256 << 10,
            ))),
            content_length: i64::try_from(size).ok(),
            ..Default::default()
        };
        let mut put = request(input);
        put.extensions.insert(chain.clone());
        self.put_object(put)
            .await
            .map_err(|e| failed(bucket, key, &e))?;
        Ok(size)
    }
}
