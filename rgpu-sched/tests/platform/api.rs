//! The HTTP API and its client.

use hyper::{Method, StatusCode};
use rgpu_sched::client::ApiClient;
use rgpu_sched::queue::State;

use crate::common::{COPY, PATIENCE, Platform, http, pipe, spec, write_pipe};

#[tokio::test]
async fn a_log_can_be_followed_while_it_grows() {
    let p = Platform::start().await;
    let go = p.path("go");
    pipe(&go);
    p.function(
        COPY,
        &format!("echo before\nread line < {}\necho after\n", go.display()),
    )
    .await;
    let id = p.start_one("data", "in/x", "").await;
    let (sender, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let api = p.api.clone();
    let follower = tokio::spawn(async move {
        let sink = |bytes: &[u8]| {
            sender
                .send(String::from_utf8_lossy(bytes).into_owned())
                .map_err(std::io::Error::other)
        };
        api.logs(id, true, sink).await
    });
    let mut text = String::new();
    let read = async {
        while !text.contains("before\n") {
            text += &seen.recv().await.unwrap();
        }
        assert!(!text.contains("after"));
        write_pipe(go).await;
        while let Some(more) = seen.recv().await {
            text += &more;
        }
    };
    tokio::time::timeout(PATIENCE, read).await.unwrap();
    assert!(text.contains("after\n"), "{text}");
    follower.await.unwrap().unwrap();
    p.stop().await;
}

#[tokio::test]
async fn definitions_are_judged_and_can_be_removed() {
    let p = Platform::start().await;
    let bad = spec("name: Bad_Name\n", "true\n");
    let error = p.api.apply(&bad).await.unwrap_err().to_string();
    assert!(error.contains("Bad_Name"), "{error}");
    let warned = p
        .api
        .apply(&spec(
            "name: f\ninput: [{path: abc}]\noutput: [{path: abc/out}]\n",
            "true\n",
        ))
        .await
        .unwrap();
    assert!(
        warned.created && warned.warnings[0].contains("overlaps"),
        "{warned:?}"
    );
    assert!(
        !p.api
            .apply(&spec("name: f\n", "true\n"))
            .await
            .unwrap()
            .created
    );
    assert_eq!(p.api.functions().await.unwrap().len(), 1);
    p.api.delete("f").await.unwrap();
    assert!(p.api.delete("f").await.unwrap_err().is_not_found());
    assert!(p.api.function("f").await.unwrap_err().is_not_found());
    p.stop().await;
}

#[tokio::test]
async fn the_api_refuses_what_a_foreign_page_could_send() {
    let p = Platform::start().await;
    let url = format!("{}/v1/functions", p.scheduler.api_url());
    let body = serde_json::to_string(&spec("name: f\n", "true\n")).unwrap();
    let json = ("content-type", "application/json");
    let send = |headers: Vec<(&'static str, &'static str)>| {
        let (url, body) = (url.clone(), body.clone());
        async move { http(Method::POST, &url, &headers, &body).await.status }
    };
    assert_eq!(
        send(vec![("content-type", "text/plain")]).await,
        StatusCode::UNSUPPORTED_MEDIA_TYPE
    );
    assert_eq!(
        send(vec![json, ("origin", "http://evil.example")]).await,
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        send(vec![json, ("host", "evil.example")]).await,
        StatusCode::FORBIDDEN
    );
    assert_eq!(p.api.functions().await.unwrap().len(), 0);
    assert_eq!(send(vec![json]).await, StatusCode::CREATED);
    p.stop().await;
}

#[tokio::test]
async fn every_change_is_announced_in_order() {
    let p = Platform::start().await;
    p.function(COPY, "true\n").await;
    let mut changes = p.api.events().await.unwrap();
    let id = p.start_one("data", "in/x", "").await;
    let mut seen = Vec::new();
    let read = async {
        while seen.last() != Some(&State::Succeeded) {
            let change = changes.next().await.unwrap();
            assert_eq!(change.id, id);
            seen.push(change.state);
        }
    };
    tokio::time::timeout(PATIENCE, read).await.unwrap();
    assert_eq!(seen.first(), Some(&State::Pending));
    assert!(seen.is_sorted_by_key(|state| State::ALL.iter().position(|s| s == state)));
    let health = p.api.health().await.unwrap();
    assert_eq!(
        (health.status.as_str(), health.waiting, health.running),
        ("ok", 0, 0)
    );
    p.stop().await;
}

#[tokio::test]
async fn nobody_at_the_address_is_said_plainly() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = ApiClient::new(&url)
        .unwrap()
        .health()
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains(&url) && error.contains("refused") && error.contains("rgpu up"),
        "{error}"
    );
    for bad in ["ftp://host", "host:1", "http://", "http://host/path"] {
        assert!(ApiClient::new(bad).is_err(), "{bad}");
    }
}
