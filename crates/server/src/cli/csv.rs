//! Comma-separated values (RFC 4180), a record a line: no field of ours has a line's end in it.

use thiserror::Error;

/// Why a line is no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(super) enum CsvError {
    /// A quoted field has no end.
    #[error("a field begins with a quotation mark and doesn't end with one")]
    Open,
    /// Text beside quotation marks.
    #[error("there is text before or after a field in quotation marks")]
    Beside,
}

/// A record as a line, without its end.
pub(super) fn line<'a>(fields: impl IntoIterator<Item = &'a str>) -> String {
    let quoted = |field: &str| {
        if field.contains([',', '"', '\n', '\r']) || field.starts_with(' ') || field.ends_with(' ')
        {
            format!("\"{}\"", field.replace('"', "\"\""))
        } else {
            field.to_owned()
        }
    };
    fields.into_iter().map(quoted).collect::<Vec<_>>().join(",")
}

/// The fields of a line.
pub(super) fn fields(line: &str) -> Result<Vec<String>, CsvError> {
    let mut fields = Vec::new();
    let mut rest = line;
    loop {
        let (field, after) = if let Some(quoted) = rest.strip_prefix('"') {
            take_quoted(quoted)?
        } else {
            let (field, after) = rest.split_at(rest.find(',').unwrap_or(rest.len()));
            if field.contains('"') {
                return Err(CsvError::Beside);
            }
            (field.to_owned(), after)
        };
        fields.push(field);
        match after.strip_prefix(',') {
            Some(more) => rest = more,
            None if after.is_empty() => return Ok(fields),
            None => return Err(CsvError::Beside),
        }
    }
}

/// A field whose first quotation mark was read, and what stands after its last one.
fn take_quoted(mut rest: &str) -> Result<(String, &str), CsvError> {
    let mut field = String::new();
    loop {
        let (text, after) = rest.split_once('"').ok_or(CsvError::Open)?;
        field.push_str(text);
        match after.strip_prefix('"') {
            Some(more) => {
                field.push('"');
                rest = more;
            }
            None => return Ok((field, after)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        for record in [
            vec!["a", "b"],
            vec![""],
            vec!["", ""],
            vec!["a,b", "\"", "say \"a\", or b", " c "],
            vec!["é,ß", "x\"y"],
        ] {
            let line = line(record.iter().copied());
            assert_eq!(fields(&line).expect("a record"), record, "{line}");
        }
    }

    #[test]
    fn what_is_no_record_is_refused() {
        for (line, why) in [
            ("\"a", CsvError::Open),
            ("a,\"b\"\"", CsvError::Open),
            ("\"a\"b", CsvError::Beside),
            ("a\"b\"", CsvError::Beside),
        ] {
            assert_eq!(fields(line), Err(why), "{line}");
        }
    }
}
