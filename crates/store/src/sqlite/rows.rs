//! Rows into values. What doesn't fit is an error of the file, not of who reads it.

use std::{error::Error, str::FromStr};

use rusqlite::{Params, Row, Transaction, types::Type};
use serde::de::DeserializeOwned;

pub(crate) fn rows<T, All: FromIterator<T>>(
    transaction: &Transaction<'_>,
    sql: &str,
    parameters: impl Params,
    read: impl FnMut(&Row<'_>) -> Result<T, rusqlite::Error>,
) -> Result<All, rusqlite::Error> {
    transaction.prepare_cached(sql)?.query_map(parameters, read)?.collect()
}

pub(crate) fn json<T: DeserializeOwned>(
    row: &Row<'_>,
    column: usize,
) -> Result<T, rusqlite::Error> {
    serde_json::from_str(row.get_ref(column)?.as_str()?).map_err(|why| misfit(column, why))
}

pub(crate) fn parsed<T: FromStr<Err: Error + Send + Sync + 'static>>(
    row: &Row<'_>,
    column: usize,
) -> Result<T, rusqlite::Error> {
    row.get_ref(column)?.as_str()?.parse().map_err(|why| misfit(column, why))
}

pub(crate) fn misfit(column: usize, why: impl Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(why))
}
