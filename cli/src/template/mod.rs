//! Templates as Docker's users write them: Go's text/template over JSON values.
//!
//! [`lexer`] cuts a template into tokens, [`parser`] makes a tree of them, [`evaluator`] walks it. A template comes
//! from the command line: whatever it says is answered with text or with an error that names the place, within
//! bounded depth, steps and output.

mod ast;
mod evaluator;
mod functions;
mod lexer;
mod parser;
mod printf;
mod value;

use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Bytes of a template at most.
const LONGEST: usize = 64 << 10;

/// A template that was understood.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    source: Arc<str>,
    nodes: Arc<[ast::Node]>,
}

/// What a template is applied to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Data {
    /// What `.` and `$` mean.
    pub(crate) root: Value,
    /// Methods of the root with one argument, `.Label "key"`: each a table of answers. Other keys have no answer.
    pub(crate) methods: BTreeMap<&'static str, BTreeMap<String, String>>,
}

impl Data {
    /// Data without methods.
    pub(crate) fn new(root: Value) -> Self {
        Self { root, methods: BTreeMap::new() }
    }
}

/// What is wrong with a template, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Error {
    /// Byte of the template.
    at: usize,
    message: String,
}

impl Error {
    fn new(at: usize, message: impl fmt::Display) -> Self {
        Self { at, message: message.to_string() }
    }

    /// One line with line and column, both from 1.
    fn place(&self, source: &str) -> String {
        let before = source.get(..self.at).unwrap_or(source);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |part| part.chars().count()) + 1;
        format!("template {line}:{column}: {}", self.message)
    }
}

impl Template {
    /// Understands a template. Fails with one line that names the place and what is wrong there.
    pub(crate) fn parse(source: &str) -> Result<Self, String> {
        if source.len() > LONGEST {
            return Err(format!("a template has {LONGEST} bytes at most"));
        }
        let nodes = lexer::tokens(source).and_then(parser::parse).map_err(|error| error.place(source))?;
        Ok(Self { source: source.into(), nodes: nodes.into() })
    }

    /// The text that it makes of data. Fails as `parse` does.
    pub(crate) fn render(&self, data: &Data) -> Result<String, String> {
        evaluator::render(&self.nodes, data).map_err(|error| error.place(&self.source))
    }

    /// The text as it was written.
    pub(crate) fn source(&self) -> &str {
        &self.source
    }
}

#[cfg(test)]
mod tests;
