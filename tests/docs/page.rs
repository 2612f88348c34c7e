//! A page of the guide, read as the commands that it shows and what they print.

/// A command of a page.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// Line of the page, from 1.
    pub(crate) line: usize,
    /// What is typed.
    pub(crate) command: String,
    /// What is printed; a line `...` stands for any lines.
    pub(crate) output: Vec<String>,
}

/// The steps of all `console` blocks of a page, in order. `$ ` begins a command, `> ` continues it.
pub(crate) fn steps(page: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut inside = false;
    for (line, text) in (1..).zip(page.lines()) {
        match (inside, text) {
            (false, "```console") => inside = true,
            (true, "```") => inside = false,
            (true, _) if text.starts_with("$ ") => {
                steps.push(Step { line, command: text[2..].to_owned(), output: Vec::new() });
            }
            (true, _) => {
                let step = steps.last_mut().unwrap_or_else(|| panic!("line {line}: output before any command"));
                match text.strip_prefix("> ").or((text == ">").then_some("")) {
                    Some(more) if step.output.is_empty() => step.command += &format!("\n{more}"),
                    _ => step.output.push(text.to_owned()),
                }
            }
            (false, _) => {}
        }
    }
    steps
}

/// Whether what was printed is what the page shows, but for what differs from run to run: ids, times, sizes,
/// ports, addresses, and the widths of columns.
pub(crate) fn matches(shown: &[String], printed: &str) -> bool {
    let shown: Vec<String> = shown.iter().map(|line| timeless(line)).filter(|line| !line.is_empty()).collect();
    let printed: Vec<String> = printed.lines().map(timeless).filter(|line| !line.is_empty()).collect();
    lines_match(&shown, &printed)
}

fn lines_match(shown: &[String], printed: &[String]) -> bool {
    match shown.split_first() {
        None => printed.is_empty(),
        Some((first, rest)) if first == "..." => {
            (0..=printed.len()).any(|skipped| lines_match(rest, &printed[skipped..]))
        }
        Some((first, rest)) => printed.first() == Some(first) && lines_match(rest, &printed[1..]),
    }
}

/// A line without what differs from run to run.
fn timeless(line: &str) -> String {
    use regex_lite::Regex;
    use std::sync::OnceLock;
    static RULES: OnceLock<Vec<(Regex, &str)>> = OnceLock::new();
    let rules = RULES.get_or_init(|| {
        [
            (r"\x1b\[[0-9;?]*[A-Za-z]|\r", ""),
            (r"sha256:[0-9a-f]{12,64}", "DIGEST"),
            (r"\b[0-9a-f]{12,64}\b", "ID"),
            (r"\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun) (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) .*\d{4}", "DATE"),
            (r"\b\d{4}-\d\d-\d\d[T ][\d:.]+(Z|[+-]\d\d:?\d\d)?( [+-]\d{4} UTC)?", "DATE"),
            (r"\b\d\d:\d\d:\d\d\b", "TIME"),
            (r"(Less than a second|About a minute|About an hour|\d+ (seconds?|minutes?|hours?|days?|weeks?|months?|years?))", "DURATION"),
            (r"\b\d+(\.\d+)?(B|kB|MB|GB|KiB|MiB|GiB)\b", "SIZE"),
            (r"\bsize: \d+", "size: N"),
            (r"\b\d+\.\d+%", "PERCENT"),
            (r"\b(10|127|172|192)\.\d+\.\d+\.\d+\b", "ADDRESS"),
            (r"\bfd[0-9a-f]{2}:[0-9a-f:]+", "ADDRESS"),
            (r"\b(localhost|ADDRESS):\d{4,5}\b", "REGISTRY"),
            // Of containers on the host.
            (r"\b(53[6-9]|5[4-9]\d|[6-9]\d\d|1[0-8]\d\d)\d{6}\b", "USERS"),
            (r"\b(49[1-9]\d\d|5\d{4}|6[0-5]\d{3})\b", "PORT"),
            (r"\s+", " "),
        ]
        .map(|(pattern, name)| (Regex::new(pattern).expect("a pattern"), name))
        .into()
    });
    let text = rules.iter().fold(line.to_owned(), |text, (rule, name)| rule.replace_all(&text, *name).into_owned());
    text.trim().to_owned()
}

#[test]
fn a_page_is_read_as_commands_and_output() {
    let page = "# x\n\n```console\n$ a \\\n>\n> b\none\ntwo\n$ c\n```\n\n```\n$ not this\n```\n";
    let step = |line, command: &str, output: &[&str]| Step {
        line,
        command: command.into(),
        output: output.iter().map(|line| (*line).into()).collect(),
    };
    assert_eq!(steps(page), [step(4, "a \\\n\nb", &["one", "two"]), step(9, "c", &[])]);
}

#[test]
fn only_what_differs_from_run_to_run_may_differ() {
    let shown = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    assert!(matches(&shown("f09848590188   base   Up 4 seconds"), "0123456789ab base Up 2 minutes\n"));
    assert!(!matches(&shown("f09848590188   base   Up 4 seconds"), "0123456789ab other Up 2 minutes\n"));
    assert!(matches(&shown("a\n...\nz"), "a\nb\nc\nz\n"));
    assert!(!matches(&shown("a\n...\nz"), "a\nb\nc\n"));
    assert!(!matches(&shown("exit 7"), "exit 8\n"));
}
