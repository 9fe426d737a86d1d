//! The object store as stock clients see it.

use hyper::{Method, StatusCode};
use rgpu_sched::queue::State;

use crate::common::{COPY, Platform, S3, http};

#[tokio::test]
async fn requests_without_a_valid_signature_are_refused() {
    let p = Platform::start().await;
    p.function(COPY, "true\n").await;
    let keys = p.scheduler.credentials().clone();
    let url = p.scheduler.store_url();

    let forged = S3::new(&url, &keys.access_key, "another secret")
        .put("data", "in/x", "")
        .await;
    forged.expect_status(StatusCode::FORBIDDEN);
    assert!(
        forged.text().contains("SignatureDoesNotMatch"),
        "{}",
        forged.text()
    );
    let stranger = S3::new(&url, "NOBODY", &keys.secret_key)
        .put("data", "in/x", "")
        .await;
    stranger.expect_status(StatusCode::FORBIDDEN);
    let unsigned = http(Method::PUT, &format!("{url}/data/in/x"), &[], "").await;
    unsigned.expect_status(StatusCode::FORBIDDEN);
    let old = http(
        Method::GET,
        &format!("{url}/data/in/x"),
        &[("authorization", "AWS key:sig"), ("date", "x")],
        "",
    )
    .await;
    assert!(old.status.is_client_error(), "{}", old.status);

    assert_eq!(p.of("data", "in/x").await.len(), 0);
    assert_eq!(p.s3.get("data", "in/x").await.status, StatusCode::NOT_FOUND);
    p.stop().await;
}

#[tokio::test]
async fn the_store_behaves_where_its_library_does_not() {
    let p = Platform::start().await;
    p.function(COPY, "true\n").await;
    p.s3.put("no-such-bucket", "x", "")
        .await
        .expect_status(StatusCode::NOT_FOUND);
    p.s3.put("data", "a/b", "")
        .await
        .expect_status(StatusCode::OK);
    p.s3.put("data", "a/b/c", "")
        .await
        .expect_status(StatusCode::BAD_REQUEST);
    p.s3.put("data", "a", "")
        .await
        .expect_status(StatusCode::BAD_REQUEST);
    p.s3.get("data", "a")
        .await
        .expect_status(StatusCode::NOT_FOUND);
    let long = p.s3.put("data", &"k".repeat(200), "").await;
    assert!(long.text().contains("KeyTooLongError"), "{}", long.text());
    assert!(
        p.s3.delete_bucket("data")
            .await
            .text()
            .contains("BucketNotEmpty")
    );
    p.s3.get("data", "a/b").await.expect_status(StatusCode::OK);
    p.stop().await;
}

#[tokio::test]
async fn an_upload_in_parts_starts_the_function_too() {
    let p = Platform::start().await;
    p.function(COPY, "printf '%s' \"$EVENT\" > $TMP_OUTPUT_DIR/event\n")
        .await;
    let answer = p.s3.put_in_parts("data", "in/large", "all of it").await;
    answer.expect_status(StatusCode::OK);
    let started = p.of("data", "in/large").await;
    assert_eq!((started.len(), started[0].trigger.size), (1, 9));
    assert_eq!(p.ended(started[0].id).await.state, State::Succeeded);
    assert!(
        p.s3.get("data", "out/event")
            .await
            .text()
            .contains("ObjectCreated:CompleteMultipartUpload")
    );
    p.stop().await;
}
