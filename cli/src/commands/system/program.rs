//! Where the supervisor's program is.

use schema::Failure;
use std::path::{Path, PathBuf};

/// The supervisor's program; as the keeper, it starts itself.
const NAME: &str = "cctl-supervisor";
/// Says where the programs are.
const VARIABLE: &str = "CCTL_LIBEXEC";
/// Where packages put programs that nobody calls by hand, seen from where `cctl` is.
const LIBEXEC: &str = "../libexec/cctl";

/// The first of the places that has it.
pub(super) fn find() -> Result<PathBuf, Failure> {
    let own = std::env::current_exe().map_err(|error| Failure::io("finding this program's own file", &error))?;
    let given = std::env::var_os(VARIABLE).map(PathBuf::from);
    if let Some(path) = given.as_ref().filter(|path| !path.is_absolute()) {
        return Err(Failure::invalid(format_args!("{VARIABLE}={} is not an absolute path", path.display())));
    }
    let places = places(given, &own);
    places.iter().map(|place| place.join(NAME)).find(|path| path.is_file()).ok_or_else(|| {
        let places: Vec<String> = places.iter().map(|place| place.display().to_string()).collect();
        Failure::not_found(format_args!("there is no {NAME} in {}", places.join(" or ")))
            .hint("install the whole of cctl, or set CCTL_LIBEXEC to the directory that has it")
    })
}

/// Where to look, first things first: where the environment says, beside this program, and in libexec.
fn places(libexec: Option<PathBuf>, own: &Path) -> Vec<PathBuf> {
    let directory = own.parent().unwrap_or(Path::new("/"));
    libexec.into_iter().chain([directory.to_owned(), directory.join(LIBEXEC)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_comes_first() {
        let own = Path::new("/usr/bin/cctl");
        assert_eq!(places(None, own), [Path::new("/usr/bin"), Path::new("/usr/bin/../libexec/cctl")]);
        assert_eq!(places(Some("/x".into()), own)[0], Path::new("/x"));
    }
}
