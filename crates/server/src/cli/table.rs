//! Lists with aligned columns.

/// A header and its rows as lines; columns are as wide as their widest entry, the last one as wide as
/// it likes.
pub(super) fn lines<const N: usize>(
    header: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> Vec<String> {
    let mut all = vec![header.map(str::to_string)];
    all.extend(rows);
    let width =
        |column: usize| all.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..N).map(width).collect();
    let line = |row: &[String; N]| {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        cells.join("  ").trim_end().to_string()
    };
    all.iter().map(line).collect()
}

/// Lines as text.
pub(super) fn text(lines: &[String]) -> String {
    lines.join("\n") + "\n"
}
