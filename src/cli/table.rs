//! Columns for people.

/// Renders rows below their headings, each column as wide as its widest cell.
///
/// Control characters in a cell are shown escaped: a folder's name is a stranger's text,
/// and must not command the admin's terminal.
pub(super) fn render(headings: &[&str], rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| clean(cell)).collect()).collect();
    let mut widths: Vec<usize> = headings.iter().map(|heading| heading.len()).collect();
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = line(headings.iter().copied(), &widths);
    for row in &rows {
        text.push_str(&line(row.iter().map(String::as_str), &widths));
    }
    text
}

fn line<'a>(cells: impl Iterator<Item = &'a str>, widths: &[usize]) -> String {
    let padded = cells.zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
    let line = padded.collect::<Vec<_>>().join("  ");
    format!("{}\n", line.trim_end())
}

/// The text without anything a terminal would act on.
pub(super) fn clean(text: &str) -> String {
    let invisible = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        if invisible(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::render;

    #[test]
    fn columns_align_and_a_terminal_is_not_commanded() {
        let rows = [vec!["INBOX".into(), "inbox".into()], vec!["a\x1b[2J\u{202e}b".into(), "hidden".into()]];
        assert_eq!(
            render(&["FOLDER", "CLASS"], &rows),
            "FOLDER                CLASS\n\
             INBOX                 inbox\n\
             a\\u{1b}[2J\\u{202e}b  hidden\n"
        );
    }
}
