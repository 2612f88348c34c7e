//! The log collector as a process: started as its supervisor starts it, killed at random moments, and spoken to
//! through the typed client.

#[cfg(test)]
mod capture;
#[cfg(test)]
mod compression;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod input;
#[cfg(test)]
mod retrieval;
#[cfg(test)]
mod runs;
#[cfg(test)]
mod turns;
