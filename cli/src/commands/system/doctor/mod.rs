//! `system doctor`: whether this host has what containers need, and how what it lacks is mended. Needs no running
//! system: `facts` looks and tries, `checks` decides, and is pure.

mod checks;
mod facts;
mod overlay;

use super::access;
use crate::args::Format;
use crate::console;
use crate::error::Result;
use crate::render::{self, listing::Listing};
use checks::{Finding, State};
use rustix::process::geteuid;
use schema::{Failure, Instance};

/// Exit status if there is a problem.
const PROBLEM: u8 = 1;

/// Prints what was found.
pub(super) fn run(instance: &Instance, format: Option<&Format>) -> Result<u8> {
    if !geteuid().is_root() {
        return Err(Failure::permission_denied("what containers need can be tried by root alone")
            .hint("run `sudo cctl system doctor`")
            .into());
    }
    let mut findings = checks::examine(&facts::gather(instance));
    findings.extend(access::trouble(instance).map(checks::access));
    match format {
        None | Some(Format::Table) => console::print(&for_people(&findings))?,
        Some(Format::Json) => console::print_line(render::json_pretty(&findings)?)?,
        Some(format) => console::print(&listing(&findings)?.render(format)?)?,
    }
    Ok(if findings.iter().any(|finding| finding.state == State::Problem) { PROBLEM } else { 0 })
}

/// A line for each; and for what is not well also why it matters, and what to do.
fn for_people(findings: &[Finding]) -> String {
    let mut text = String::new();
    for Finding { check, state, found, why, mend } in findings {
        text.push_str(&format!("{:<10}{check:<15}{found}\n", state.to_string()));
        if *state != State::Ok {
            text.push_str(&format!("{:25}why:  {why}\n{:25}mend: {mend}\n", "", ""));
        }
    }
    let count = |wanted: State| findings.iter().filter(|finding| finding.state == wanted).count();
    let plural = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
    text + &format!("{}, {}\n", plural(count(State::Problem), "problem"), plural(count(State::Warning), "warning"))
}

/// For templates.
fn listing(findings: &[Finding]) -> Result<Listing> {
    const HEADINGS: &crate::render::listing::Headings =
        &[("Check", "CHECK"), ("State", "STATE"), ("Found", "FOUND"), ("Why", "WHY"), ("Mend", "MEND")];
    let mut listing = Listing::new(HEADINGS, ["Check"]);
    for Finding { check, state, found, why, mend } in findings {
        listing.push(&serde_json::json!({
            "Check": check, "State": state.to_string(), "Found": found, "Why": why, "Mend": mend,
        }))?;
    }
    Ok(listing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_well_is_explained() {
        let finding = |state, mend: &str| Finding {
            check: "kernel",
            state,
            found: "Linux 5.10".into(),
            why: "it is old".into(),
            mend: mend.into(),
        };
        let text = for_people(&[finding(State::Ok, ""), finding(State::Problem, "upgrade")]);
        assert_eq!(text.lines().next(), Some("ok        kernel         Linux 5.10"));
        assert_eq!(text.matches("why:  it is old").count(), 1, "{text}");
        assert!(text.contains("mend: upgrade\n1 problem, 0 warnings\n"), "{text}");
        let template = crate::args::list_format("{{.Check}}={{.State}}").unwrap();
        assert_eq!(listing(&[finding(State::Ok, "")]).unwrap().render(&template).unwrap(), "kernel=ok\n");
    }
}
