//! The image store as a process: started as its supervisor starts it, spoken to through the typed client, killed at
//! random moments, and given archives that podman, skopeo and umoci have made.

#[cfg(test)]
mod commits;
#[cfg(test)]
mod crashes;
#[cfg(test)]
mod foreign;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod names;
#[cfg(test)]
mod transfers;
