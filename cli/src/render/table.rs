//! Tables for people.

use super::text::one_line;

const GAP: usize = 3;
const NARROWEST: usize = 10;

/// Rows under a heading, in columns that are as wide as their widest cell.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows.
    pub(crate) fn new(heading: &[&str]) -> Self {
        Self { rows: vec![heading.iter().map(|&cell| cell.to_owned()).collect()] }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|cell| one_line(&cell)).collect());
    }

    /// All of it, each row with its newline.
    pub(crate) fn render(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns).map(|column| self.width(column)).collect();
        self.rows.iter().map(|row| line(row, &widths)).collect()
    }

    fn width(&self, column: usize) -> usize {
        let widest = self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
        widest.unwrap_or(0).max(NARROWEST - GAP) + GAP
    }
}

fn line(row: &[String], widths: &[usize]) -> String {
    let mut line = String::new();
    for (cell, &width) in row.iter().zip(widths) {
        line.push_str(&format!("{cell:width$}"));
    }
    line.truncate(line.trim_end().len());
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(&["NAME", "PID", "STATE"]);
        table.row(["a-rather-long-name".to_owned(), "1".to_owned(), "ready".to_owned()]);
        table.row(["é".to_owned(), String::new(), "x".to_owned()]);
        assert_eq!(
            table.render(),
            "NAME                 PID       STATE\n\
             a-rather-long-name   1         ready\n\
             é                              x\n"
        );
    }

    #[test]
    fn cells_cannot_break_the_table() {
        let mut table = Table::new(&["A"]);
        table.row(["x\ny\u{1b}[1m".to_owned()]);
        assert_eq!(table.render().lines().count(), 2);
    }
}
