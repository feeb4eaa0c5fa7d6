//! Printing, for people or as JSON.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use anstyle::{AnsiColor, Style};
use serde_json::Value;

use crate::failure::Failure;

pub(crate) const BOLD: Style = Style::new().bold();
pub(crate) const DIM: Style = Style::new().dimmed();
pub(crate) const NAME: Style = AnsiColor::Cyan.on_default();
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
pub(crate) const WRONG: Style = AnsiColor::Red.on_default().bold();

/// Where a command prints. Colours are left out where nobody would see them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    json: bool,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Output { json }
    }

    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Prints a line to where results go.
    pub(crate) fn line(&self, text: impl AsRef<str>) -> Result<(), Failure> {
        let mut stdout = anstream::stdout().lock();
        writeln!(stdout, "{}", text.as_ref())?;
        // A reader of lines wants each when it is there.
        Ok(stdout.flush()?)
    }

    /// Prints a value as one line of JSON.
    pub(crate) fn value(&self, value: &Value) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        writeln!(stdout, "{value}")?;
        Ok(stdout.flush()?)
    }

    /// Prints a value, for people over several lines.
    pub(crate) fn pretty(&self, value: &Value) -> Result<(), Failure> {
        match (self.json, value) {
            (true, value) => self.value(value),
            // Text without its quotes, as everybody expects it.
            (false, Value::String(text)) => self.line(text),
            (false, value) => self.line(format!("{value:#}")),
        }
    }

    /// Says that something was done which has no result.
    pub(crate) fn pretty_or_done(&self, value: &Value, done: &str) -> Result<(), Failure> {
        match self.json {
            true => self.value(value),
            false => self.line(paint(GOOD, done)),
        }
    }

    /// Prints a line to where errors go. If that fails, nobody can be told.
    pub(crate) fn error(&self, text: &str) {
        let _ = writeln!(anstream::stderr().lock(), "{text}");
    }

    /// Prints a remark for people, beside the results.
    pub(crate) fn remark(&self, text: &str) {
        if !self.json {
            self.error(&paint(DIM, text));
        }
    }

    pub(crate) fn styled_error(&self, message: &str) -> String {
        format!("{} {message}", paint(WRONG, "error:"))
    }

    pub(crate) fn styled_hint(&self, hint: &str) -> String {
        format!(" {} {hint}", paint(GOOD, "hint:"))
    }
}

/// A text in this style.
pub(crate) fn paint(style: Style, text: impl AsRef<str>) -> String {
    format!("{style}{}{style:#}", text.as_ref())
}

/// Rows of cells, written in columns as wide as they need to be.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
    styles: Vec<Style>,
    /// Which columns hold numbers, and end at one edge.
    right: Vec<bool>,
}

impl Table {
    /// A table with these headings. A heading that begins with `>` is above numbers.
    pub(crate) fn new(headings: &[&str]) -> Self {
        let right: Vec<_> = headings
            .iter()
            .map(|heading| heading.starts_with('>'))
            .collect();
        let headings = headings
            .iter()
            .map(|heading| heading.trim_start_matches('>'));
        Table {
            rows: vec![headings.map(str::to_owned).collect()],
            styles: vec![Style::new(); right.len()],
            right,
        }
    }

    /// The style of a column.
    pub(crate) fn style(mut self, column: usize, style: Style) -> Self {
        if let Some(place) = self.styles.get_mut(column) {
            *place = style;
        }
        self
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    pub(crate) fn print(&self, output: &Output) -> Result<(), Failure> {
        let columns = self.right.len();
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<_> = (0..columns).map(width).collect();
        for (number, row) in self.rows.iter().enumerate() {
            let mut line = String::new();
            for (column, cell) in row.iter().enumerate() {
                let style = match number {
                    0 => BOLD,
                    _ => self.styles[column],
                };
                let padding = " ".repeat(widths[column].saturating_sub(cell.chars().count()));
                let painted = paint(style, cell);
                let gap = if column == 0 { "" } else { "  " };
                let _ = match (self.right[column], column + 1 == columns) {
                    (true, _) => write!(line, "{gap}{padding}{painted}"),
                    (false, true) => write!(line, "{gap}{painted}"),
                    (false, false) => write!(line, "{gap}{painted}{padding}"),
                };
            }
            output.line(line)?;
        }
        Ok(())
    }
}

/// A number of microseconds in the unit that suits it.
pub(crate) fn micros(micros: f64) -> String {
    match micros {
        micros if micros < 1000.0 => format!("{micros:.1} µs"),
        micros if micros < 1_000_000.0 => format!("{:.2} ms", micros / 1000.0),
        micros => format!("{:.2} s", micros / 1_000_000.0),
    }
}

/// A number of seconds as days, hours, minutes and seconds.
pub(crate) fn age(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min {} s", seconds % 60),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

/// A large number, with spaces between thousands.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}
