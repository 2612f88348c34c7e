//! From a tree and data to text.

use super::ast::{Base, Command, Node, Operand, Pipeline};
use super::value::{NO_VALUE, truth, type_name, words};
use super::{Data, Error, functions};
use serde_json::{Map, Value};

/// Nodes and commands that one rendering evaluates at most.
const STEPS: u32 = 1_000_000;
/// Bytes that one rendering writes, and that the values of one rendering may take together, at most.
const MOST: usize = 16 << 20;

/// The text of nodes.
pub(super) fn render(nodes: &[Node], data: &Data) -> Result<String, Error> {
    let variables = vec![(String::new(), data.root.clone())];
    let mut evaluator = Evaluator { data, variables, output: String::new(), steps: 0, made: 0 };
    evaluator.list(nodes, &data.root)?;
    Ok(evaluator.output)
}

struct Evaluator<'a> {
    data: &'a Data,
    /// The innermost last.
    variables: Vec<(String, Value)>,
    output: String,
    steps: u32,
    /// Bytes of text that functions have made so far.
    made: usize,
}

/// Whether the nodes after this one are evaluated.
#[derive(Clone, Copy, PartialEq)]
enum Flow {
    On,
    Break,
    Continue,
}

impl Evaluator<'_> {
    fn step(&mut self, at: usize) -> Result<(), Error> {
        self.steps += 1;
        if self.steps > STEPS {
            return Err(Error::new(at, "this takes too many steps"));
        }
        Ok(())
    }

    fn write(&mut self, at: usize, text: &str) -> Result<(), Error> {
        if self.output.len() + text.len() > MOST {
            return Err(Error::new(at, format_args!("this makes more than {MOST} bytes")));
        }
        self.output.push_str(text);
        Ok(())
    }

    /// Evaluates nodes. Their variables end with them.
    fn list(&mut self, nodes: &[Node], dot: &Value) -> Result<Flow, Error> {
        let known = self.variables.len();
        let mut flow = Flow::On;
        for node in nodes {
            flow = self.node(node, dot)?;
            if flow != Flow::On {
                break;
            }
        }
        self.variables.truncate(known);
        Ok(flow)
    }

    fn node(&mut self, node: &Node, dot: &Value) -> Result<Flow, Error> {
        match node {
            Node::Text(text) => self.write(0, text)?,
            Node::Output(pipeline) => {
                let value = self.assigned(pipeline, dot)?;
                if pipeline.variables.is_empty() {
                    let text = if value.is_null() { NO_VALUE.to_owned() } else { words(&value) };
                    self.write(pipeline.at, &text)?;
                }
            }
            Node::If(branches, rest) => return self.branches(branches, rest, dot, false),
            Node::With(branches, rest) => return self.branches(branches, rest, dot, true),
            Node::Range(pipeline, body, rest) => return self.range(pipeline, body, rest, dot),
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::On)
    }

    fn branches(
        &mut self,
        branches: &[(Pipeline, Vec<Node>)],
        rest: &[Node],
        dot: &Value,
        with: bool,
    ) -> Result<Flow, Error> {
        let known = self.variables.len();
        for (condition, nodes) in branches {
            let value = self.assigned(condition, dot)?;
            if truth(&value) {
                let flow = self.list(nodes, if with { &value } else { dot })?;
                self.variables.truncate(known);
                return Ok(flow);
            }
        }
        let flow = self.list(rest, dot)?;
        self.variables.truncate(known);
        Ok(flow)
    }

    fn range(&mut self, pipeline: &Pipeline, body: &[Node], rest: &[Node], dot: &Value) -> Result<Flow, Error> {
        let known = self.variables.len();
        let flow = match self.pipeline(pipeline, dot)? {
            Value::Array(list) if !list.is_empty() => {
                self.each(pipeline, body, list.into_iter().enumerate().map(|(index, item)| (index.into(), item)))?
            }
            Value::Object(map) if !map.is_empty() => {
                self.each(pipeline, body, map.into_iter().map(|(key, item)| (key.into(), item)))?
            }
            Value::Number(number) if number.as_u64().is_some_and(|number| number > 0) => {
                let count = number.as_u64().unwrap_or(0);
                self.each(pipeline, body, (0..count).map(|index| (index.into(), index.into())))?
            }
            Value::Array(_) | Value::Object(_) | Value::Null => self.list(rest, dot)?,
            Value::Number(number) if !number.is_f64() => self.list(rest, dot)?,
            other => return Err(Error::new(pipeline.at, format_args!("range can't iterate over {}", words(&other)))),
        };
        self.variables.truncate(known);
        Ok(flow)
    }

    fn each(
        &mut self,
        pipeline: &Pipeline,
        body: &[Node],
        items: impl Iterator<Item = (Value, Value)>,
    ) -> Result<Flow, Error> {
        for (key, item) in items {
            self.step(pipeline.at)?;
            match &pipeline.variables[..] {
                [one] => self.set(pipeline.declares, one, item.clone()),
                [one, two] => {
                    self.set(pipeline.declares, one, key);
                    self.set(pipeline.declares, two, item.clone());
                }
                _ => {}
            }
            let flow = self.list(body, &item)?;
            if pipeline.declares {
                let made = self.variables.len() - pipeline.variables.len();
                self.variables.truncate(made);
            }
            if flow == Flow::Break {
                break;
            }
        }
        Ok(Flow::On)
    }

    fn set(&mut self, declares: bool, name: &str, value: Value) {
        match self.variables.iter_mut().rev().find(|(known, _)| known == name) {
            Some((_, place)) if !declares => *place = value,
            _ => self.variables.push((name.to_owned(), value)),
        }
    }

    fn pipeline(&mut self, pipeline: &Pipeline, dot: &Value) -> Result<Value, Error> {
        self.step(pipeline.at)?;
        let mut value = None;
        for command in &pipeline.commands {
            value = Some(self.command(command, dot, value)?);
        }
        let value = value.unwrap_or(Value::Null);
        Ok(value)
    }

    /// A pipeline's value, which also becomes that of its variable.
    fn assigned(&mut self, pipeline: &Pipeline, dot: &Value) -> Result<Value, Error> {
        let value = self.pipeline(pipeline, dot)?;
        if let [name] = &pipeline.variables[..] {
            self.set(pipeline.declares, name, value.clone());
        }
        Ok(value)
    }

    /// A command's value; `piped` is its last argument.
    fn command(&mut self, command: &Command, dot: &Value, piped: Option<Value>) -> Result<Value, Error> {
        let (first, words) = match command.words.split_first() {
            Some(split) => split,
            None => return Ok(Value::Null),
        };
        self.step(first.at)?;
        match &first.base {
            Base::Function(name) if first.fields.is_empty() => self.function(name, first.at, words, dot, piped),
            Base::Dot if !words.is_empty() => self.method(first, words, dot),
            _ if words.is_empty() => self.operand(first, dot),
            _ => Err(Error::new(first.at, "this takes no arguments: it is no function")),
        }
    }

    fn function(
        &mut self,
        name: &str,
        at: usize,
        words: &[Operand],
        dot: &Value,
        piped: Option<Value>,
    ) -> Result<Value, Error> {
        if name == "and" || name == "or" {
            return self.logic(name == "or", at, words, dot, piped);
        }
        let mut arguments = Vec::with_capacity(words.len() + 1);
        for word in words {
            arguments.push(self.operand(word, dot)?);
        }
        arguments.extend(piped);
        let made = functions::call(name, &arguments)
            .map_err(|message| Error::new(at, format_args!("error calling {name}: {message}")))?;
        self.made += made.as_str().map_or(0, str::len);
        if self.made > MOST {
            return Err(Error::new(at, format_args!("this makes more than {MOST} bytes")));
        }
        Ok(made)
    }

    /// The first argument that decides, else the last one. Those after it are not evaluated.
    fn logic(
        &mut self,
        or: bool,
        at: usize,
        words: &[Operand],
        dot: &Value,
        piped: Option<Value>,
    ) -> Result<Value, Error> {
        let mut last = None;
        for word in words {
            let value = self.operand(word, dot)?;
            if truth(&value) == or {
                return Ok(value);
            }
            last = Some(value);
        }
        piped.or(last).ok_or_else(|| Error::new(at, "wrong number of args: want at least 1 got 0"))
    }

    /// `.Label "key"`
    fn method(&mut self, method: &Operand, words: &[Operand], dot: &Value) -> Result<Value, Error> {
        let table = match &method.fields[..] {
            [name] if *dot == self.data.root => self.data.methods.get(name.as_str()),
            _ => None,
        };
        let Some(table) = table else {
            let name = method.fields.join(".");
            return Err(Error::new(method.at, format_args!("{name} is not a method but has arguments")));
        };
        let [word] = words else { return Err(Error::new(method.at, "a method has one argument")) };
        match self.operand(word, dot)? {
            Value::String(key) => Ok(table.get(&key).cloned().unwrap_or_default().into()),
            other => Err(Error::new(word.at, format_args!("expected string; found {}", type_name(&other)))),
        }
    }

    fn operand(&mut self, operand: &Operand, dot: &Value) -> Result<Value, Error> {
        let base = match &operand.base {
            Base::Dot => return fields(dot, operand),
            Base::Variable(name) => {
                let found = self.variables.iter().rev().find(|(known, _)| known == name);
                let (_, value) = found.ok_or_else(|| Error::new(operand.at, "undefined variable"))?;
                return fields(value, operand);
            }
            Base::Literal(value) => value.clone(),
            Base::Nested(pipeline) => self.pipeline(pipeline, dot)?,
            Base::Function(name) => self.function(name, operand.at, &[], dot, None)?,
        };
        fields(&base, operand)
    }
}

/// Follows `.A.B`.
fn fields(value: &Value, operand: &Operand) -> Result<Value, Error> {
    let mut value = value;
    for field in &operand.fields {
        value = match value {
            Value::Object(map) => match map.get(field) {
                Some(value) => value,
                None if is_structure(map) => {
                    return Err(Error::new(operand.at, format_args!("there is no field {field:?}: {}", known(map))));
                }
                None => &Value::Null,
            },
            Value::Null => return Err(Error::new(operand.at, format_args!("nil has no field {field:?}"))),
            other => {
                return Err(Error::new(
                    operand.at,
                    format_args!("can't evaluate field {field} in type {}", type_name(other)),
                ));
            }
        };
    }
    Ok(value.clone())
}

/// Whether an object has fields, which all begin with a capital, and not keys of a user's choice such as labels.
fn is_structure(map: &Map<String, Value>) -> bool {
    !map.is_empty() && map.keys().all(|key| key.starts_with(|first: char| first.is_ascii_uppercase()))
}

fn known(map: &Map<String, Value>) -> String {
    let names: Vec<&str> = map.keys().map(String::as_str).collect();
    format!("there are {}", names.join(", "))
}
