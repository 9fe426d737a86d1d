//! Invocations in the database.

use std::fmt::Display;

use rusqlite::types::ToSql;
use rusqlite::{OptionalExtension, Row, params};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Db, DbError, damaged};
use crate::queue::{Invocation, InvocationId, State, Times, Trigger};
use crate::store::Chain;
use crate::time::Timestamp;

/// The most invocations that one question returns.
pub const MAX_LISTED: usize = 1000;

/// Which invocations to list; newest first.
#[derive(Clone, Debug, Default)]
pub struct InvocationFilter {
    /// Of this function.
    pub function: Option<String>,
    /// In this state.
    pub state: Option<State>,
    /// About an object of this bucket.
    pub bucket: Option<String>,
    /// About an object with this key.
    pub key: Option<String>,
    /// Older than this one; for paging.
    pub before: Option<InvocationId>,
    /// At most so many.
    pub limit: Option<usize>,
}

const COLUMNS: &str = "id, function, bucket, key, size, etag, event_id, chain, state, phase, attempt, queued_at, \
     prepare_at, input_at, start_at, run_at, output_at, finished_at, exit_code, error, gpu, log, stats, outputs";

impl Db {
    /// Records that an event starts a function; `None` if that very event already has.
    pub fn create_invocation(
        &self,
        function: &str,
        trigger: Trigger,
        chain: Chain,
        event: &Value,
        now: Timestamp,
    ) -> Result<Option<Invocation>, DbError> {
        let connection = self.lock();
        let chain_json = json("chain", &trigger.event_id, &chain)?;
        let inserted = connection.execute(
            "INSERT INTO invocations (function, bucket, key, size, etag, event_id, event, chain, state, phase, queued_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 'Pending', '\"queued\"', ?9)
             ON CONFLICT (function, event_id) DO NOTHING",
            params![
                function,
                trigger.bucket,
                trigger.key,
                i64::try_from(trigger.size).unwrap_or(i64::MAX),
                trigger.etag,
                trigger.event_id,
                event.to_string(),
                chain_json,
                now.as_micros(),
            ],
        )?;
        let id = InvocationId(connection.last_insert_rowid());
        Ok((inserted > 0).then(|| Invocation::new(id, function.to_owned(), trigger, chain, now)))
    }

    /// Writes what can change in an invocation.
    pub fn save_invocation(&self, i: &Invocation) -> Result<(), DbError> {
        let micros = |t: Option<Timestamp>| t.map(Timestamp::as_micros);
        let gpu = i.gpu.as_ref().map(|g| json("gpu", &i.id, g)).transpose()?;
        self.lock().execute(
            "UPDATE invocations SET state = ?2, phase = ?3, attempt = ?4, prepare_at = ?5, input_at = ?6,
             start_at = ?7, run_at = ?8, output_at = ?9, finished_at = ?10, exit_code = ?11, error = ?12,
             gpu_server = ?13, gpu = ?14, log = ?15, stats = ?16, outputs = ?17 WHERE id = ?1",
            params![
                i.id.0,
                i.state.as_str(),
                json("phase", &i.id, &i.phase)?,
                i.attempt,
                micros(i.times.prepare),
                micros(i.times.input),
                micros(i.times.start),
                micros(i.times.run),
                micros(i.times.output),
                micros(i.times.finished),
                i.exit_code,
                i.error,
                i.gpu.as_ref().map(|g| &g.server),
                gpu,
                i.log,
                i.stats.as_ref().map(Value::to_string),
                json("outputs", &i.id, &i.outputs)?,
            ],
        )?;
        Ok(())
    }

    /// One invocation.
    pub fn invocation(&self, id: InvocationId) -> Result<Option<Invocation>, DbError> {
        let connection = self.lock();
        let sql = format!("SELECT {COLUMNS} FROM invocations WHERE id = ?1");
        connection
            .query_row(&sql, [id.0], |row| Ok(read(row)))
            .optional()?
            .transpose()
    }

    /// The event that started an invocation, as the job sees it.
    pub fn event(&self, id: InvocationId) -> Result<Option<String>, DbError> {
        let connection = self.lock();
        Ok(connection
            .query_row(
                "SELECT event FROM invocations WHERE id = ?1",
                [id.0],
                |row| row.get(0),
            )
            .optional()?)
    }

    /// Invocations, newest first.
    pub fn invocations(&self, filter: &InvocationFilter) -> Result<Vec<Invocation>, DbError> {
        let state = filter.state.map(State::as_str);
        let before = filter.before.map(|id| id.0);
        let all: [(&str, Option<&dyn ToSql>); 5] = [
            (
                "function = ?",
                filter.function.as_ref().map(|v| v as &dyn ToSql),
            ),
            ("state = ?", state.as_ref().map(|v| v as &dyn ToSql)),
            (
                "bucket = ?",
                filter.bucket.as_ref().map(|v| v as &dyn ToSql),
            ),
            ("key = ?", filter.key.as_ref().map(|v| v as &dyn ToSql)),
            ("id < ?", before.as_ref().map(|v| v as &dyn ToSql)),
        ];
        let (conditions, values): (Vec<&str>, Vec<&dyn ToSql>) = all
            .into_iter()
            .filter_map(|(condition, value)| Some((condition, value?)))
            .unzip();
        let limit = filter.limit.unwrap_or(100).min(MAX_LISTED);
        let wanted = if conditions.is_empty() {
            "1".to_owned()
        } else {
            conditions.join(" AND ")
        };
        self.select(
            &format!("WHERE {wanted} ORDER BY id DESC LIMIT {limit}"),
            &values,
        )
    }

    /// Invocations that have not ended, oldest first.
    pub fn unfinished(&self) -> Result<Vec<Invocation>, DbError> {
        self.select("WHERE state IN ('Pending', 'Running') ORDER BY id", &[])
    }

    fn select(&self, tail: &str, values: &[&dyn ToSql]) -> Result<Vec<Invocation>, DbError> {
        let connection = self.lock();
        let mut query = connection.prepare(&format!("SELECT {COLUMNS} FROM invocations {tail}"))?;
        let rows = query.query_map(values, |row| Ok(read(row)))?;
        rows.map(|row| row?).collect()
    }

    /// How many invocations of a function are in each state.
    pub fn count_by_state(&self, function: &str) -> Result<Vec<(State, u64)>, DbError> {
        let connection = self.lock();
        let mut query = connection.prepare(
            "SELECT state, count(*) FROM invocations WHERE function = ?1 GROUP BY state",
        )?;
        let rows = query.query_map([function], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?))
        })?;
        rows.map(|row| {
            let (state, count) = row?;
            let state = state
                .parse()
                .map_err(|e: String| damaged("state", &function, &e))?;
            Ok((state, u64::try_from(count).unwrap_or(0)))
        })
        .collect()
    }

    /// Forgets all but the newest `keep` invocations that have ended; returns the logs of the forgotten.
    pub fn prune(&self, keep: usize) -> Result<Vec<String>, DbError> {
        let connection = self.lock();
        let mut query = connection.prepare(
            "DELETE FROM invocations WHERE id IN (
                 SELECT id FROM invocations WHERE state NOT IN ('Pending', 'Running')
                 ORDER BY id DESC LIMIT -1 OFFSET ?1)
             RETURNING log",
        )?;
        let keep = i64::try_from(keep).unwrap_or(i64::MAX);
        let logs = query.query_map([keep], |row| row.get::<_, Option<String>>(0))?;
        Ok(logs
            .collect::<Result<Vec<_>, _>>()?
            .into_iter()
            .flatten()
            .collect())
    }
}

fn json<T: serde::Serialize>(
    what: &'static str,
    of: &dyn Display,
    value: &T,
) -> Result<String, DbError> {
    serde_json::to_string(value).map_err(|e| damaged(what, of, &e))
}

fn parse<T: DeserializeOwned>(
    what: &'static str,
    of: InvocationId,
    text: &str,
) -> Result<T, DbError> {
    serde_json::from_str(text).map_err(|e| damaged(what, &of, &e))
}

/// Reads a row of [`COLUMNS`].
fn read(row: &Row<'_>) -> Result<Invocation, DbError> {
    let id = InvocationId(row.get("id")?);
    let time = |column: &str| -> Result<Option<Timestamp>, DbError> {
        Ok(row
            .get::<_, Option<i64>>(column)?
            .map(Timestamp::from_micros))
    };
    let text = |column: &str| row.get::<_, String>(column);
    let optional = |column: &str| row.get::<_, Option<String>>(column);
    let trigger = Trigger {
        bucket: text("bucket")?,
        key: text("key")?,
        size: u64::try_from(row.get::<_, i64>("size")?).unwrap_or(0),
        etag: text("etag")?,
        event_id: text("event_id")?,
    };
    Ok(Invocation {
        id,
        function: text("function")?,
        trigger,
        chain: parse("chain", id, &text("chain")?)?,
        state: text("state")?
            .parse()
            .map_err(|e: String| damaged("state", &id, &e))?,
        phase: parse("phase", id, &text("phase")?)?,
        attempt: row.get("attempt")?,
        times: Times {
            queued: Timestamp::from_micros(row.get("queued_at")?),
            prepare: time("prepare_at")?,
            input: time("input_at")?,
            start: time("start_at")?,
            run: time("run_at")?,
            output: time("output_at")?,
            finished: time("finished_at")?,
        },
        exit_code: row.get("exit_code")?,
        error: optional("error")?,
        gpu: optional("gpu")?.map(|t| parse("gpu", id, &t)).transpose()?,
        log: optional("log")?,
        stats: optional("stats")?
            .map(|t| parse("stats", id, &t))
            .transpose()?,
        outputs: parse("outputs", id, &text("outputs")?)?,
    })
}
