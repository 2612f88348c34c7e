//! Restart policies: `--restart`.

use super::Parsed;
use schema::containers::{RestartKind, RestartPolicy};

const EXPECTED: &str = "expected no, on-failure[:TIMES], always or unless-stopped";

/// A policy as Docker writes it.
pub(crate) fn restart(text: &str) -> Parsed<RestartPolicy> {
    let (name, times) = text.split_once(':').map_or((text, None), |(name, times)| (name, Some(times)));
    let kind = match name {
        "no" | "" => RestartKind::No,
        "on-failure" => RestartKind::OnFailure,
        "always" => RestartKind::Always,
        "unless-stopped" => RestartKind::UnlessStopped,
        _ => return Err(EXPECTED.to_owned()),
    };
    let maximum = match times {
        None => 0,
        Some(times) if kind == RestartKind::OnFailure => {
            times.parse().map_err(|_| format!("{times:?} is not a number of times"))?
        }
        Some(_) => return Err(format!("only on-failure counts; {EXPECTED}")),
    };
    Ok(RestartPolicy { kind, maximum })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_s_policies() {
        assert_eq!(restart("no"), Ok(RestartPolicy::default()));
        assert_eq!(restart("on-failure:3"), Ok(RestartPolicy { kind: RestartKind::OnFailure, maximum: 3 }));
        assert_eq!(restart("always").map(|policy| policy.kind), Ok(RestartKind::Always));
        for bad in ["never", "always:3", "on-failure:", "on-failure:-1", "on-failure:x", "Always"] {
            assert!(restart(bad).is_err(), "{bad:?}");
        }
    }
}
