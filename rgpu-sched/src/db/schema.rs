//! The database's tables, one step per version; `user_version` says which steps are done.

use rusqlite::Connection;

use super::DbError;

/// Steps in order; never change one that was released, add another.
const STEPS: &[&str] = &["
    CREATE TABLE meta (
        name  TEXT PRIMARY KEY,
        value TEXT NOT NULL
    ) STRICT;
    CREATE TABLE functions (
        name    TEXT PRIMARY KEY,
        spec    TEXT NOT NULL,
        created INTEGER NOT NULL,
        updated INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE invocations (
        id         INTEGER PRIMARY KEY AUTOINCREMENT,
        function   TEXT NOT NULL,
        bucket     TEXT NOT NULL,
        key        TEXT NOT NULL,
        size       INTEGER NOT NULL,
        etag       TEXT NOT NULL,
        event_id   TEXT NOT NULL,
        event      TEXT NOT NULL,
        chain      TEXT NOT NULL,
        state      TEXT NOT NULL,
        phase      TEXT NOT NULL,
        attempt    INTEGER NOT NULL DEFAULT 0,
        queued_at  INTEGER NOT NULL,
        prepare_at INTEGER,
        input_at   INTEGER,
        start_at   INTEGER,
        run_at     INTEGER,
        output_at  INTEGER,
        finished_at INTEGER,
        exit_code  INTEGER,
        error      TEXT,
        gpu_server TEXT,
        gpu        TEXT,
        log        TEXT,
        stats      TEXT,
        outputs    TEXT NOT NULL DEFAULT '[]',
        UNIQUE (function, event_id)
    ) STRICT;
    CREATE INDEX invocations_by_state ON invocations (state, id);
    CREATE INDEX invocations_by_function ON invocations (function, id);
"];

/// Brings the database to the newest version, all or nothing.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), DbError> {
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let newest = i64::try_from(STEPS.len()).unwrap_or(i64::MAX);
    let Some(done) = usize::try_from(version).ok().filter(|v| *v <= STEPS.len()) else {
        return Err(DbError::TooNew {
            found: version,
            newest,
        });
    };
    for (step, sql) in (1_i64..).zip(STEPS).skip(done) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(sql)?;
        transaction.pragma_update(None, "user_version", step)?;
        transaction.commit()?;
    }
    Ok(())
}
