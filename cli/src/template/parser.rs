//! From tokens to a tree.

use super::Error;
use super::ast::{Base, Command, Node, Operand, Pipeline};
use super::functions;
use super::lexer::{Kind, Token};

/// How deep actions and parentheses may be nested.
const DEEPEST: usize = 64;

/// The tree of a whole template.
pub(super) fn parse(tokens: Vec<Token>) -> Result<Vec<Node>, Error> {
    let end = tokens.last().map_or(0, |token| token.at);
    let mut parser = Parser { tokens, position: 0, end, depth: 0, loops: 0, variables: vec![String::new()] };
    let (nodes, ending) = parser.list()?;
    match ending {
        Ending::Whole => Ok(nodes),
        Ending::End(at) => Err(Error::new(at, "unexpected {{end}}")),
        Ending::Else(at) => Err(Error::new(at, "unexpected {{else}}")),
    }
}

struct Parser {
    tokens: Vec<Token>,
    /// Of the next token.
    position: usize,
    /// Where the last token is, for what is missing at the end.
    end: usize,
    depth: usize,
    /// Ranges around.
    loops: usize,
    /// Those that exist here, the innermost last.
    variables: Vec<String>,
}

/// What ended a list of nodes.
enum Ending {
    Whole,
    End(usize),
    /// The action is open after the word `else`.
    Else(usize),
}

impl Parser {
    fn next(&mut self) -> Option<Token> {
        self.next_if(|_| true)
    }

    fn next_if(&mut self, wanted: impl FnOnce(&Token) -> bool) -> Option<Token> {
        let token = self.tokens.get(self.position).filter(|token| wanted(token))?.clone();
        self.position += 1;
        Some(token)
    }

    fn peek(&self) -> Option<&Kind> {
        self.tokens.get(self.position).map(|token| &token.kind)
    }

    fn at(&self) -> usize {
        self.tokens.get(self.position).map_or(self.end, |token| token.at)
    }

    fn take(&mut self, kind: &Kind) -> bool {
        self.next_if(|token| token.kind == *kind).is_some()
    }

    fn take_word(&mut self, word: &str) -> bool {
        self.next_if(|token| matches!(&token.kind, Kind::Word(name) if name == word)).is_some()
    }

    fn expect_close(&mut self, what: &str) -> Result<(), Error> {
        let at = self.at();
        if self.take(&Kind::Close) { Ok(()) } else { Err(Error::new(at, format_args!("unexpected word in {what}"))) }
    }

    fn deeper<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        if self.depth == DEEPEST {
            return Err(Error::new(self.at(), format_args!("nested deeper than {DEEPEST}")));
        }
        self.depth += 1;
        let answer = parse(self);
        self.depth -= 1;
        answer
    }

    /// Nodes up to `{{end}}`, `{{else` or the end. Variables that are made in it end with it.
    fn list(&mut self) -> Result<(Vec<Node>, Ending), Error> {
        let known = self.variables.len();
        let mut nodes = Vec::new();
        let ending = loop {
            let Some(token) = self.next() else { break Ending::Whole };
            match token.kind {
                Kind::Text(text) => nodes.push(Node::Text(text)),
                _ if self.take_word("end") => {
                    self.expect_close("{{end}}")?;
                    break Ending::End(token.at);
                }
                _ if self.take_word("else") => break Ending::Else(token.at),
                _ => nodes.push(self.action()?),
            }
        };
        self.variables.truncate(known);
        Ok((nodes, ending))
    }

    /// What follows `{{`.
    fn action(&mut self) -> Result<Node, Error> {
        let at = self.at();
        for word in ["define", "template", "block"] {
            if self.take_word(word) {
                return Err(Error::new(at, format_args!("{{{{{word}}}}} is not supported")));
            }
        }
        if self.take_word("if") {
            return self.scoped(|parser| parser.branches(at, "if").map(|(branches, rest)| Node::If(branches, rest)));
        }
        if self.take_word("with") {
            return self
                .scoped(|parser| parser.branches(at, "with").map(|(branches, rest)| Node::With(branches, rest)));
        }
        if self.take_word("range") {
            return self.scoped(|parser| parser.range(at));
        }
        for (word, node) in [("break", Node::Break), ("continue", Node::Continue)] {
            if self.take_word(word) {
                self.expect_close(word)?;
                let outside = || Error::new(at, format_args!("{{{{{word}}}}} outside {{{{range}}}}"));
                return if self.loops > 0 { Ok(node) } else { Err(outside()) };
            }
        }
        let pipeline = self.pipeline(1)?;
        self.expect_close("action")?;
        Ok(Node::Output(pipeline))
    }

    /// Parses one level deeper, with variables of its own.
    fn scoped(&mut self, parse: impl FnOnce(&mut Self) -> Result<Node, Error>) -> Result<Node, Error> {
        let known = self.variables.len();
        let node = self.deeper(parse);
        self.variables.truncate(known);
        node
    }

    /// The branches of `if` or `with`, after that word.
    #[allow(clippy::type_complexity)]
    fn branches(&mut self, at: usize, word: &str) -> Result<(Vec<(Pipeline, Vec<Node>)>, Vec<Node>), Error> {
        let mut branches = Vec::new();
        loop {
            let pipeline = self.pipeline(1)?;
            self.expect_close(word)?;
            let (nodes, ending) = self.list()?;
            branches.push((pipeline, nodes));
            match ending {
                Ending::Whole => return Err(Error::new(at, format_args!("{{{{{word}}}}} without {{{{end}}}}"))),
                Ending::End(_) => return Ok((branches, Vec::new())),
                Ending::Else(_) if self.take_word(word) => {}
                Ending::Else(_) => return Ok((branches, self.last_branch(at, word)?)),
            }
        }
    }

    /// What is between `{{else` and `{{end}}`.
    fn last_branch(&mut self, at: usize, word: &str) -> Result<Vec<Node>, Error> {
        self.expect_close("{{else}}")?;
        match self.list()? {
            (nodes, Ending::End(_)) => Ok(nodes),
            (_, Ending::Else(at)) => Err(Error::new(at, "a second {{else}}")),
            (_, Ending::Whole) => Err(Error::new(at, format_args!("{{{{{word}}}}} without {{{{end}}}}"))),
        }
    }

    fn range(&mut self, at: usize) -> Result<Node, Error> {
        let pipeline = self.pipeline(2)?;
        self.expect_close("range")?;
        self.loops += 1;
        let (nodes, ending) = self.list()?;
        self.loops -= 1;
        match ending {
            Ending::Whole => Err(Error::new(at, "{{range}} without {{end}}")),
            Ending::End(_) => Ok(Node::Range(pipeline, nodes, Vec::new())),
            Ending::Else(_) => Ok(Node::Range(pipeline, nodes, self.last_branch(at, "range")?)),
        }
    }

    /// A pipeline that may set up to `most` variables.
    fn pipeline(&mut self, most: usize) -> Result<Pipeline, Error> {
        let at = self.at();
        let (variables, declares) = self.assignment(most)?;
        let mut commands = vec![self.command()?];
        while self.take(&Kind::Pipe) {
            let at = self.at();
            let command = self.command()?;
            if !matches!(command.words[0].base, Base::Function(_)) {
                return Err(Error::new(at, "only a function can take what comes before `|`"));
            }
            commands.push(command);
        }
        if declares {
            self.variables.extend(variables.iter().cloned());
        }
        Ok(Pipeline { at, variables, declares, commands })
    }

    /// `$x :=`, `$x =` or `$i, $x :=`, if the pipeline begins so.
    fn assignment(&mut self, most: usize) -> Result<(Vec<String>, bool), Error> {
        let ahead: Vec<Kind> = self.tokens.iter().skip(self.position).take(4).map(|token| token.kind.clone()).collect();
        let (names, sign) = match &ahead[..] {
            [Kind::Variable(one), sign @ (Kind::Declare | Kind::Assign), ..] => (vec![one.clone()], sign),
            [Kind::Variable(one), Kind::Comma, Kind::Variable(two), sign @ (Kind::Declare | Kind::Assign)] => {
                (vec![one.clone(), two.clone()], sign)
            }
            _ => return Ok((Vec::new(), false)),
        };
        let at = self.at();
        if names.len() > most {
            return Err(Error::new(at, "too many variables: only {{range}} has two"));
        }
        let declares = *sign == Kind::Declare;
        for name in &names {
            if name.is_empty() || (!declares && !self.variables.contains(name)) {
                return Err(Error::new(at, format_args!("undefined variable \"${name}\"")));
            }
        }
        for _ in 0..2 * names.len() {
            self.next();
        }
        Ok((names, declares))
    }

    fn command(&mut self) -> Result<Command, Error> {
        let mut words = Vec::new();
        while !matches!(self.peek(), None | Some(Kind::Close | Kind::Pipe | Kind::Right)) {
            words.push(self.operand()?);
        }
        match &words[..] {
            [] => Err(Error::new(self.at(), "missing value for command")),
            [Operand { base: Base::Literal(_), at, .. }, _, ..] => {
                Err(Error::new(*at, "a constant takes no arguments"))
            }
            _ => Ok(Command { words }),
        }
    }

    fn operand(&mut self) -> Result<Operand, Error> {
        let Some(Token { at, kind, .. }) = self.next() else {
            return Err(Error::new(self.end, "unexpected end"));
        };
        let (base, mut fields) = match kind {
            Kind::Dot => (Base::Dot, Vec::new()),
            Kind::Fields(fields) => (Base::Dot, fields),
            Kind::Variable(name) if self.variables.contains(&name) => (Base::Variable(name), Vec::new()),
            Kind::Variable(name) => return Err(Error::new(at, format_args!("undefined variable \"${name}\""))),
            Kind::Literal(value) => (Base::Literal(value), Vec::new()),
            Kind::Word(name) if functions::is_known(&name) => (Base::Function(name), Vec::new()),
            Kind::Word(name) => return Err(Error::new(at, format_args!("function {name:?} not defined"))),
            Kind::Left => {
                let inside = self.deeper(|parser| parser.pipeline(0))?;
                if !self.take(&Kind::Right) {
                    return Err(Error::new(at, "unclosed left paren"));
                }
                (Base::Nested(Box::new(inside)), Vec::new())
            }
            other => return Err(Error::new(at, format_args!("unexpected {}", describe(&other)))),
        };
        while let Some(Token { kind: Kind::Fields(more), .. }) =
            self.next_if(|token| !token.spaced && matches!(token.kind, Kind::Fields(_)))
        {
            fields.extend(more);
        }
        Ok(Operand { at, base, fields })
    }
}

fn describe(kind: &Kind) -> &'static str {
    match kind {
        Kind::Declare => "`:=`",
        Kind::Assign => "`=`",
        Kind::Comma => "`,`",
        _ => "word",
    }
}
