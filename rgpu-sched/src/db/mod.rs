//! What survives a restart: functions, and every invocation with its times, in SQLite.
//!
//! Writes are acknowledged once they are in the write-ahead log, so they survive the scheduler's death; a power
//! cut can lose the last of them, as it can lose the last objects of the store.

mod invocations;
mod schema;

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};

pub use self::invocations::{InvocationFilter, MAX_LISTED};

use crate::function::{Function, FunctionSpec};
use crate::time::Timestamp;

/// How long to wait for another process that looks into the database.
const BUSY: Duration = Duration::from_secs(5);

/// Why the database could not be used.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// SQLite failed.
    #[error("database: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// A field holds what it should not.
    #[error("database: {what} of {of} is damaged: {why}")]
    Damaged {
        /// Which field.
        what: &'static str,
        /// Whose.
        of: String,
        /// How.
        why: String,
    },
    /// Written by a newer release.
    #[error(
        "the database has version {found}, this program knows {newest}: use a newer rgpu, or another folder"
    )]
    TooNew {
        /// Its version.
        found: i64,
        /// The newest version known here.
        newest: i64,
    },
    /// The file cannot be opened.
    #[error("database {path}: {source}")]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
}

/// The database; safe to share.
#[derive(Debug)]
pub struct Db {
    connection: Mutex<Connection>,
}

/// A function with its dates.
#[derive(Debug, Clone)]
pub struct StoredFunction {
    /// The function.
    pub function: Function,
    /// When it was first applied.
    pub created: Timestamp,
    /// When it was last applied.
    pub updated: Timestamp,
}

impl Db {
    /// Opens or creates the database.
    pub fn open(path: &Path) -> Result<Self, DbError> {
        let connection = Connection::open(path).map_err(|source| DbError::Open {
            path: path.to_owned(),
            source,
        })?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.busy_timeout(BUSY)?;
        Self::with(connection)
    }

    fn with(mut connection: Connection) -> Result<Self, DbError> {
        schema::migrate(&mut connection)?;
        Ok(Self {
            connection: Mutex::new(connection),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        // A panic elsewhere leaves at most an open transaction, which SQLite has rolled back.
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// A name for this database, made from `fresh` the first time; marks the processes of its jobs.
    pub fn tag(&self, fresh: &str) -> Result<String, DbError> {
        let connection = self.lock();
        connection.execute(
            "INSERT OR IGNORE INTO meta (name, value) VALUES ('tag', ?1)",
            [fresh],
        )?;
        Ok(
            connection.query_row("SELECT value FROM meta WHERE name = 'tag'", [], |row| {
                row.get(0)
            })?,
        )
    }

    /// Adds or replaces a function; tells whether it is new.
    pub fn put_function(&self, spec: &FunctionSpec, now: Timestamp) -> Result<bool, DbError> {
        let json = serde_json::to_string(spec).map_err(|e| damaged("spec", &spec.name, &e))?;
        let connection = self.lock();
        let updated = connection.execute(
            "UPDATE functions SET spec = ?2, updated = ?3 WHERE name = ?1",
            params![spec.name, json, now.as_micros()],
        )?;
        if updated == 0 {
            connection.execute(
                "INSERT INTO functions (name, spec, created, updated) VALUES (?1, ?2, ?3, ?3)",
                params![spec.name, json, now.as_micros()],
            )?;
        }
        Ok(updated == 0)
    }

    /// Removes a function; tells whether it was there.
    pub fn delete_function(&self, name: &str) -> Result<bool, DbError> {
        Ok(self
            .lock()
            .execute("DELETE FROM functions WHERE name = ?1", [name])?
            > 0)
    }

    /// One function.
    pub fn function(&self, name: &str) -> Result<Option<StoredFunction>, DbError> {
        let connection = self.lock();
        let query = "SELECT name, spec, created, updated FROM functions WHERE name = ?1";
        let row = connection
            .query_row(query, [name], function_row)
            .optional()?;
        row.map(stored_function).transpose()
    }

    /// All functions, by name.
    pub fn functions(&self) -> Result<Vec<StoredFunction>, DbError> {
        let connection = self.lock();
        let mut query = connection
            .prepare("SELECT name, spec, created, updated FROM functions ORDER BY name")?;
        let rows: Vec<FunctionRow> = query
            .query_map([], function_row)?
            .collect::<Result<_, _>>()?;
        rows.into_iter().map(stored_function).collect()
    }
}

type FunctionRow = (String, String, i64, i64);

fn function_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<FunctionRow> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
}

fn stored_function((name, json, created, updated): FunctionRow) -> Result<StoredFunction, DbError> {
    let spec: FunctionSpec = serde_json::from_str(&json).map_err(|e| damaged("spec", &name, &e))?;
    let function = Function::try_from(spec).map_err(|e| damaged("spec", &name, &e))?;
    let (created, updated) = (
        Timestamp::from_micros(created),
        Timestamp::from_micros(updated),
    );
    Ok(StoredFunction {
        function,
        created,
        updated,
    })
}

fn damaged(what: &'static str, of: &dyn Display, why: &dyn Display) -> DbError {
    DbError::Damaged {
        what,
        of: of.to_string(),
        why: why.to_string(),
    }
}

#[cfg(test)]
mod tests;
