//! The command line.

use schema::Failure;
use std::ffi::OsString;
use std::path::PathBuf;

const USAGE: &str =
    "usage: cctl-supervisor keeper|supervise [--manifest FILE] [--stand-by], or cctl-supervisor --probe";

/// Which of the two processes this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Holds the sockets and keeps a supervisor running.
    Keeper,
    /// Runs the services; started by the keeper.
    Supervisor,
}

/// What the command line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Arguments {
    /// Who to be.
    pub(crate) role: Role,
    /// Replaces the built-in manifest.
    pub(crate) manifest: Option<PathBuf>,
    /// Where another keeper runs already, wait for its end instead of failing.
    pub(crate) stand_by: bool,
}

impl Arguments {
    /// Reads the arguments that follow the program's name.
    pub(crate) fn parse(mut given: impl Iterator<Item = OsString>) -> Result<Self, Failure> {
        let invalid = |text: String| Failure::invalid(text).hint(USAGE);
        let (mut role, mut manifest, mut stand_by) = (None, None, false);
        while let Some(argument) = given.next() {
            match argument.to_str() {
                Some("keeper") if role.is_none() => role = Some(Role::Keeper),
                Some("supervise") if role.is_none() => role = Some(Role::Supervisor),
                Some("--stand-by") => stand_by = true,
                Some("--manifest") if manifest.is_none() => {
                    let file = given.next().ok_or_else(|| invalid("--manifest needs a file".to_owned()))?;
                    manifest = Some(PathBuf::from(file));
                }
                _ => return Err(invalid(format!("unknown argument {argument:?}"))),
            }
        }
        let role = role.ok_or_else(|| invalid("say what to do: keeper or supervise".to_owned()))?;
        Ok(Self { role, manifest, stand_by })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Arguments, String> {
        Arguments::parse(words.iter().map(OsString::from)).map_err(|failure| failure.message)
    }

    #[test]
    fn roles_and_manifest() {
        assert_eq!(parse(&["keeper"]), Ok(Arguments { role: Role::Keeper, manifest: None, stand_by: false }));
        assert_eq!(
            parse(&["--manifest", "/a", "supervise"]),
            Ok(Arguments { role: Role::Supervisor, manifest: Some("/a".into()), stand_by: false })
        );
        assert!(parse(&["keeper", "--stand-by"]).unwrap().stand_by);
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert!(parse(&[]).unwrap_err().contains("keeper or supervise"));
        assert!(parse(&["keeper", "supervise"]).unwrap_err().contains("\"supervise\""));
        assert!(parse(&["keeper", "--manifest"]).unwrap_err().contains("--manifest"));
        assert!(parse(&["run"]).unwrap_err().contains("\"run\""));
    }
}
