//! What the store tells the scheduler: an object was created, in the shape of S3's notifications.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use crate::time::Timestamp;

/// How an object came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Creation {
    /// One PUT.
    Put,
    /// A copy of another object.
    Copy,
    /// An upload in parts, now complete.
    CompleteMultipartUpload,
}

impl Creation {
    fn as_str(self) -> &'static str {
        match self {
            Self::Put => "Put",
            Self::Copy => "Copy",
            Self::CompleteMultipartUpload => "CompleteMultipartUpload",
        }
    }
}

/// Functions whose jobs led to an object, oldest first; empty for an upload from outside.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Chain(pub Vec<String>);

/// An object was created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectEvent {
    /// Its bucket.
    pub bucket: String,
    /// Its key, not encoded.
    pub key: String,
    /// Bytes in it.
    pub size: u64,
    /// Its entity tag, without quotes.
    pub etag: String,
    /// How it came to be.
    pub creation: Creation,
    /// When.
    pub time: Timestamp,
    /// Grows with every event of this store, and names the event.
    pub sequencer: u64,
    /// The address that it came from; empty for results of jobs.
    pub source: String,
    /// The access key that it came with; empty for results of jobs.
    pub principal: String,
    /// Which jobs led to it.
    pub chain: Chain,
}

/// What S3 leaves bare in the keys of its notifications; a space becomes `+`.
const KEY_SET: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'*')
    .remove(b' ');

impl ObjectEvent {
    /// The event's name in notifications and in the database.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{:016X}", self.sequencer)
    }

    /// The notification as S3 sends it. `EventName` and `Key` are what MinIO, OSCAR's default store, adds.
    #[must_use]
    pub fn to_json(&self, region: &str) -> Value {
        let key = utf8_percent_encode(&self.key, KEY_SET)
            .to_string()
            .replace(' ', "+");
        let name = self.creation.as_str();
        json!({
            "EventName": format!("s3:ObjectCreated:{name}"),
            "Key": format!("{}/{}", self.bucket, self.key),
            "Records": [{
                "eventVersion": "2.1",
                "eventSource": "aws:s3",
                "awsRegion": region,
                "eventTime": self.time,
                "eventName": format!("ObjectCreated:{name}"),
                "userIdentity": {"principalId": self.principal},
                "requestParameters": {"sourceIPAddress": self.source},
                "responseElements": {"x-amz-request-id": self.id()},
                "s3": {
                    "s3SchemaVersion": "1.0",
                    "configurationId": "rgpu",
                    "bucket": {
                        "name": self.bucket,
                        "ownerIdentity": {"principalId": self.principal},
                        "arn": format!("arn:aws:s3:::{}", self.bucket),
                    },
                    "object": {
                        "key": key,
                        "size": self.size,
                        "eTag": self.etag,
                        "sequencer": self.id(),
                    },
                },
            }],
        })
    }
}

/// An event on its way; the upload is answered once `accepted` is, so that no acknowledged upload is lost.
#[derive(Debug)]
pub struct Notice {
    /// The event.
    pub event: ObjectEvent,
    /// To be sent when the event is safely recorded; dropping it fails the upload.
    pub accepted: oneshot::Sender<()>,
}

/// Where the store sends its events.
pub type Notices = mpsc::Sender<Notice>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_json_has_the_shape_of_s3() {
        let event = ObjectEvent {
            bucket: "studies".into(),
            key: "in/a file+ü.dcm".into(),
            size: 7,
            etag: "abc".into(),
            creation: Creation::Put,
            time: Timestamp::from_micros(0),
            sequencer: 255,
            source: "127.0.0.1".into(),
            principal: "me".into(),
            chain: Chain::default(),
        };
        let json = event.to_json("us-east-1");
        assert_eq!(json["EventName"], "s3:ObjectCreated:Put");
        assert_eq!(json["Key"], "studies/in/a file+ü.dcm");
        let record = &json["Records"][0];
        assert_eq!(record["eventName"], "ObjectCreated:Put");
        assert_eq!(record["eventTime"], "1970-01-01T00:00:00Z");
        assert_eq!(record["s3"]["bucket"]["arn"], "arn:aws:s3:::studies");
        assert_eq!(record["s3"]["object"]["key"], "in/a+file%2B%C3%BC.dcm");
        assert_eq!(record["s3"]["object"]["size"], 7);
        assert_eq!(record["s3"]["object"]["sequencer"], "00000000000000FF");
    }
}
