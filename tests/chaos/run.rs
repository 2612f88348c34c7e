//! A run: users at work, and faults meanwhile.

use crate::director::Director;
use crate::evidence;
use crate::ledger::{Ledger, Recorded, Wrong};
use crate::memory::{self, Used};
use crate::plan::Step;
use crate::probe::Probe;
use crate::report::{self, Tally, ms};
use crate::standing::{self, Readers};
use crate::talks::{self, Talked, Typist};
use crate::user::User;
use crate::users::{ROUTINES, work};
use harness::Random;
use harness::{Instance, Registry};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::thread;

/// A run, and what it came to.
pub(crate) struct Run {
    seed: u64,
    pub(crate) ledger: Ledger,
    pub(crate) tally: Tally,
    talked: Talked,
    connections: u64,
    before: BTreeMap<String, Used>,
    after: BTreeMap<String, Used>,
}

impl Run {
    /// Runs through the plan of a seed.
    pub(crate) fn through(seed: u64, steps: &[Step]) -> Self {
        let registry = Registry::start();
        let cctl = Instance::start();
        cctl.configure(&format!("default = \"{}\"\n", registry.name()));
        let mut run = Self {
            seed,
            ledger: Ledger::new(),
            tally: Tally::default(),
            talked: Talked::default(),
            connections: 0,
            before: BTreeMap::new(),
            after: BTreeMap::new(),
        };
        // What goes wrong is in the ledger.
        let _ = run.attend(&cctl, steps);
        run.finish(cctl);
        run
    }

    fn attend(&mut self, cctl: &Instance, steps: &[Step]) -> Result<(), Recorded> {
        let (seed, ledger) = (self.seed, &self.ledger);
        let user = |number, name| User { cctl, ledger, name, random: Random::part(seed, number) };
        let host = user(1, "host");
        let standing = standing::start(&host)?;
        let address = talks::port(&host)?;
        let probe = Probe::new(cctl, &standing);
        let measure = || probe.status().map(|status| memory::measure(&status)).unwrap_or_default();
        self.before = measure();
        thread::scope(|scope| {
            let readers = Readers::start(scope, &host, &standing);
            let typist = Typist::start(scope, &host);
            let talk = scope.spawn(move || talks::one_connection(address, ledger));
            let connections = scope.spawn(move || talks::many_connections(address, ledger));
            let users: Vec<_> = (2..)
                .zip(ROUTINES)
                .map(|(number, (name, routine))| scope.spawn(move || work(user(number, name), routine)))
                .collect();
            let tally = &mut self.tally;
            let followed = Director { cctl, ledger, probe: &probe, standing: &standing, tally }.follow(steps);
            ledger.end();
            for user in users {
                user.join().expect("a user");
            }
            self.talked = talk.join().expect("a user");
            self.connections = connections.join().expect("a user");
            let typed = typist.finish(ledger);
            self.after = measure();
            let read = readers.finish(&host, &standing);
            followed.and(typed).and(read)
        })
    }

    /// Ends the instance, and looks for what is left of it.
    fn finish(&self, cctl: Instance) {
        // While it is there.
        if !self.ledger.complaints().is_empty() {
            evidence::keep(&self.name(), &self.ledger, &cctl);
        }
        let leaks = cctl.finish();
        if !leaks.is_empty() {
            self.ledger.wrong(Wrong::Leak, leaks.len(), format_args!("left on the host: {leaks:#?}"));
        }
    }

    pub(crate) fn name(&self) -> String {
        format!("seed-{}", self.seed)
    }

    /// The tables.
    pub(crate) fn report(&self) -> String {
        let mut text = format!("chaos: seed {}, {:.0} s\n\n", self.seed, self.ledger.elapsed().as_secs_f64());
        text += &self.tally.table();
        text += "\n";
        text += &report::users(&self.ledger);
        let Talked { echoes, longest } = self.talked;
        writeln!(text, "one connection        {echoes} echoes, the slowest after {:.0} ms", ms(longest))
            .expect("a string");
        writeln!(text, "new connections       {}", self.connections).expect("a string");
        text + "\n" + &report::memory(&self.before, &self.after)
    }
}
