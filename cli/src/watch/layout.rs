//! Tables for a screen of a given width.

use crate::render::text::{cut, one_line};

const GAP: usize = 2;

/// A column with its cells.
pub(super) struct Column {
    heading: &'static str,
    /// Numbers stand to the right.
    right: bool,
    /// Where there is no room for all, the columns with the highest numbers go first; 0 stays.
    dispensable: u8,
    cells: Vec<String>,
}

impl Column {
    /// Words.
    pub(super) fn words(heading: &'static str, dispensable: u8, cells: Vec<String>) -> Self {
        Self { heading, right: false, dispensable, cells }
    }

    /// Numbers.
    pub(super) fn numbers(heading: &'static str, dispensable: u8, cells: Vec<String>) -> Self {
        Self { heading, right: true, dispensable, cells }
    }

    fn width(&self) -> usize {
        let cells = self.cells.iter().map(|cell| cell.chars().count());
        cells.chain([self.heading.len()]).max().unwrap_or(0)
    }

    fn write(&self, line: &mut String, cell: &str) {
        let width = self.width();
        if self.right { line.push_str(&format!("{cell:>width$}")) } else { line.push_str(&format!("{cell:width$}")) }
    }
}

/// A heading and rows, none of them longer than `width`.
pub(super) fn table(mut columns: Vec<Column>, width: usize) -> Vec<String> {
    for column in &mut columns {
        column.cells.iter_mut().for_each(|cell| *cell = one_line(cell));
    }
    while total(&columns) > width {
        let least = (0..).zip(&columns).max_by_key(|(_, column)| column.dispensable);
        match least {
            Some((index, column)) if column.dispensable > 0 => drop(columns.remove(index)),
            _ => break,
        }
    }
    let rows = columns.iter().map(|column| column.cells.len()).max().unwrap_or(0);
    let heading = line(&columns, width, |column| column.heading);
    let rows = (0..rows).map(|row| line(&columns, width, |column| column.cells.get(row).map_or("", String::as_str)));
    [heading].into_iter().chain(rows).collect()
}

fn total(columns: &[Column]) -> usize {
    columns.iter().map(|column| column.width() + GAP).sum::<usize>().saturating_sub(GAP)
}

fn line<'a>(columns: &'a [Column], width: usize, cell: impl Fn(&'a Column) -> &'a str) -> String {
    let mut line = String::new();
    for (index, column) in columns.iter().enumerate() {
        if index > 0 {
            line.push_str(&" ".repeat(GAP));
        }
        column.write(&mut line, cell(column));
    }
    line.truncate(line.trim_end().len());
    cut(&line, width)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn columns() -> Vec<Column> {
        vec![
            Column::words("NAME", 0, vec!["executor".into(), "a\u{1b}[2J".into()]),
            Column::numbers("CPU %", 1, vec!["1.0".into(), "200.0".into()]),
            Column::words("UPTIME", 2, vec!["2 minutes".into()]),
        ]
    }

    #[test]
    fn what_matters_least_goes_first() {
        let wide = table(columns(), 80);
        assert_eq!(wide, ["NAME        CPU %  UPTIME", "executor      1.0  2 minutes", "a\\u{1b}[2J  200.0"]);
        assert_eq!(table(columns(), 25)[1], "executor      1.0");
        assert_eq!(table(columns(), 12)[1], "executor");
        assert_eq!(table(columns(), 4)[1], "exe…");
    }

    proptest! {
        #[test]
        fn no_line_is_longer_than_the_screen(width in 0_usize..100) {
            for line in table(columns(), width) {
                prop_assert!(line.chars().count() <= width.max(1), "{line:?}");
            }
        }
    }
}
