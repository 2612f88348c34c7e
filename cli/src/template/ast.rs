//! The tree of a template.

use serde_json::Value;

/// A part of a template.
#[derive(Clone, Debug)]
pub(super) enum Node {
    /// Goes to the output as it is.
    Text(String),
    /// `{{pipeline}}`: its value goes to the output, unless it sets a variable.
    Output(Pipeline),
    /// `{{if}}` and each `{{else if}}`, and what `{{else}}` has.
    If(Vec<(Pipeline, Vec<Node>)>, Vec<Node>),
    /// `{{with}}`: as `if`, with `.` set.
    With(Vec<(Pipeline, Vec<Node>)>, Vec<Node>),
    /// `{{range}}`, and its `{{else}}`.
    Range(Pipeline, Vec<Node>, Vec<Node>),
    /// `{{break}}`
    Break,
    /// `{{continue}}`
    Continue,
}

/// Commands, each given the value of the one before as its last argument.
#[derive(Clone, Debug)]
pub(super) struct Pipeline {
    pub(super) at: usize,
    /// Variables that get its value: one, or two of a range.
    pub(super) variables: Vec<String>,
    /// Whether they are new: `:=`.
    pub(super) declares: bool,
    pub(super) commands: Vec<Command>,
}

/// A value, or a function with its arguments.
#[derive(Clone, Debug)]
pub(super) struct Command {
    /// At least one.
    pub(super) words: Vec<Operand>,
}

/// A value.
#[derive(Clone, Debug)]
pub(super) struct Operand {
    pub(super) at: usize,
    pub(super) base: Base,
    /// `.A.B` after it.
    pub(super) fields: Vec<String>,
}

/// Where a value comes from.
#[derive(Clone, Debug)]
pub(super) enum Base {
    /// `.`
    Dot,
    /// `$` or `$name`, without the dollar sign.
    Variable(String),
    /// The name of a function.
    Function(String),
    Literal(Value),
    /// `(pipeline)`
    Nested(Box<Pipeline>),
}
