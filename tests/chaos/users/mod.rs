//! Those who use cctl meanwhile: each has a routine, and knows what every command of it must answer.

mod boxes;
mod exits;
mod files;
mod images;
mod runs;

use crate::ledger::Recorded;
use crate::user::User;

/// What a user does again and again; the number is of the round.
pub(crate) type Routine = fn(&mut User, u64) -> Result<(), Recorded>;

/// All of them, by name.
pub(crate) const ROUTINES: [(&str, Routine); 5] = [
    ("runs", runs::round),
    ("boxes", boxes::round),
    ("images", images::round),
    ("exits", exits::round),
    ("files", files::round),
];

/// How long a user thinks between two rounds at most, in milliseconds.
const THINKING: u64 = 150;

/// Does the routine until the end of the run, or until something is wrong.
pub(crate) fn work(mut user: User, routine: Routine) {
    let mut number = 0;
    while !user.ledger.has_ended() {
        number += 1;
        if routine(&mut user, number).is_err() {
            return;
        }
        user.think(THINKING);
    }
}
