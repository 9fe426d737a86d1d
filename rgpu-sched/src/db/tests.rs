use super::*;
use crate::queue::{GpuLease, Invocation, Leavings, Outcome, OutputObject, Phase, State, Trigger};
use crate::store::Chain;
use serde_json::json;

fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros)
}

fn spec(name: &str) -> FunctionSpec {
    FunctionSpec {
        name: name.into(),
        script: "true\n".into(),
        ..Default::default()
    }
}

fn create(db: &Db, function: &str, event_id: &str) -> Option<Invocation> {
    let trigger = Trigger {
        bucket: "b".into(),
        key: "k".into(),
        size: 3,
        etag: "e".into(),
        event_id: event_id.into(),
    };
    db.create_invocation(
        function,
        trigger,
        Chain(vec![function.into()]),
        &json!({"Records": []}),
        at(1),
    )
    .unwrap()
}

#[test]
fn everything_survives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db.sqlite");
    let (tag, done) = {
        let db = Db::open(&path).unwrap();
        assert!(db.put_function(&spec("f"), at(5)).unwrap());
        assert!(!db.put_function(&spec("f"), at(6)).unwrap());
        let mut i = create(&db, "f", "1").unwrap();
        let lease = GpuLease {
            server: "tcp://gpu:1".into(),
            device: 2,
            device_name: "soft".into(),
            memory: 1 << 28,
        };
        i.begin(Some(lease), "logs/1.log".into(), at(2)).unwrap();
        i.advance(Phase::Run, at(3)).unwrap();
        let leavings = Leavings {
            outputs: vec![OutputObject {
                bucket: "o".into(),
                key: "x".into(),
                size: 9,
            }],
            stats: Some(json!({"round_trips": 7})),
        };
        i.finish(
            Outcome::Failed {
                exit_code: Some(4),
                error: "script exited with 4".into(),
            },
            leavings,
            at(4),
        )
        .unwrap();
        db.save_invocation(&i).unwrap();
        (db.tag("first").unwrap(), i)
    };
    let db = Db::open(&path).unwrap();
    assert_eq!(db.tag("second").unwrap(), tag);
    assert_eq!(db.invocation(done.id).unwrap().unwrap(), done);
    assert_eq!(db.event(done.id).unwrap().unwrap(), r#"{"Records":[]}"#);
    let f = db.function("f").unwrap().unwrap();
    assert_eq!((f.created, f.updated), (at(5), at(6)));
    assert!(db.delete_function("f").unwrap());
    assert!(!db.delete_function("f").unwrap());
    assert!(db.function("f").unwrap().is_none());
}

#[test]
fn an_event_counts_once_for_each_function() {
    let db = Db::with(Connection::open_in_memory().unwrap()).unwrap();
    assert!(create(&db, "f", "1").is_some());
    assert!(create(&db, "f", "1").is_none());
    assert!(create(&db, "g", "1").is_some());
}

#[test]
fn lists_are_filtered_and_newest_first() {
    let db = Db::with(Connection::open_in_memory().unwrap()).unwrap();
    let mut made: Vec<Invocation> = (0..5)
        .map(|n| create(&db, if n % 2 == 0 { "even" } else { "odd" }, &n.to_string()).unwrap())
        .collect();
    made[4]
        .finish(Outcome::Cancelled, Leavings::default(), at(9))
        .unwrap();
    db.save_invocation(&made[4]).unwrap();

    let ids = |filter: InvocationFilter| -> Vec<i64> {
        db.invocations(&filter)
            .unwrap()
            .into_iter()
            .map(|i| i.id.0)
            .collect()
    };
    assert_eq!(ids(InvocationFilter::default()), [5, 4, 3, 2, 1]);
    assert_eq!(
        ids(InvocationFilter {
            function: Some("even".into()),
            ..Default::default()
        }),
        [5, 3, 1]
    );
    assert_eq!(
        ids(InvocationFilter {
            state: Some(State::Cancelled),
            ..Default::default()
        }),
        [5]
    );
    assert_eq!(
        ids(InvocationFilter {
            key: Some("other".into()),
            ..Default::default()
        }),
        [0; 0]
    );
    let page = InvocationFilter {
        before: Some(made[3].id),
        limit: Some(2),
        ..Default::default()
    };
    assert_eq!(ids(page), [3, 2]);
    assert_eq!(db.unfinished().unwrap().len(), 4);
    assert_eq!(
        db.count_by_state("even").unwrap(),
        [(State::Cancelled, 1), (State::Pending, 2)]
    );
}

#[test]
fn only_ended_invocations_are_forgotten() {
    let db = Db::with(Connection::open_in_memory().unwrap()).unwrap();
    for n in 0..6 {
        let mut i = create(&db, "f", &n.to_string()).unwrap();
        if n < 4 {
            i.begin(None, format!("logs/{n}.log"), at(1)).unwrap();
            i.finish(Outcome::Succeeded, Leavings::default(), at(2))
                .unwrap();
            db.save_invocation(&i).unwrap();
        }
    }
    let mut logs = db.prune(1).unwrap();
    logs.sort();
    assert_eq!(logs, ["logs/0.log", "logs/1.log", "logs/2.log"]);
    assert_eq!(
        db.invocations(&InvocationFilter::default()).unwrap().len(),
        3
    );
    let next = create(&db, "f", "new").unwrap();
    assert_eq!(next.id.0, 7, "ids are never used again");
}

#[test]
fn a_newer_database_is_left_alone() {
    let connection = Connection::open_in_memory().unwrap();
    connection.pragma_update(None, "user_version", 999).unwrap();
    assert!(matches!(
        Db::with(connection),
        Err(DbError::TooNew { found: 999, .. })
    ));
}
