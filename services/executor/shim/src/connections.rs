//! The executor's connections. There is one at a time, and another for a moment when the executor restarts.

use crate::sys::{self, Errno, Fd, Poll, Received};
use shim_protocol::control::{REQUEST_SIZE, Report, Request};

/// Connections that are served at a time; others wait in the socket.
pub const MOST: usize = 4;

/// One.
pub struct Connection {
    socket: Fd,
    /// Asked to start, and gets its answer when that is decided.
    awaits_start: bool,
}

/// What came in.
pub enum Incoming {
    /// A request, and the descriptors that go with it.
    Request(Request, Received),
    /// Nothing now.
    Nothing,
    /// The end, or something that is no request: the connection is closed.
    End,
}

impl Connection {
    /// Receives a message.
    pub fn receive(&self) -> Incoming {
        let mut message = [0; REQUEST_SIZE];
        match sys::receive(&self.socket, &mut message) {
            Err(Errno::AGAIN | Errno::INTR) => Incoming::Nothing,
            Ok((REQUEST_SIZE, descriptors)) => {
                Request::decode(&message).map_or(Incoming::End, |request| Incoming::Request(request, descriptors))
            }
            _ => Incoming::End,
        }
    }

    /// Notes that the answer comes later.
    pub fn await_start(&mut self) {
        self.awaits_start = true;
    }

    /// Answers, perhaps with a descriptor. A peer that does not take it is gone, which the next receive tells.
    pub fn answer(&self, report: &Report, lent: Option<&Fd>) {
        let _ = sys::send(&self.socket, &report.encode(), lent);
    }
}

/// All of them.
pub struct Connections {
    listener: Fd,
    slots: [Option<Connection>; MOST],
}

impl Connections {
    /// None yet.
    pub fn new(listener: Fd) -> Self {
        Self { listener, slots: [const { None }; MOST] }
    }

    /// To wait for a new one, if there is a place for it.
    pub fn listener(&self) -> Poll {
        let free = self.slots.iter().any(Option::is_none);
        Poll::readable(free.then_some(&self.listener))
    }

    /// To wait for messages.
    pub fn polls(&self) -> impl Iterator<Item = Poll> {
        self.slots.iter().map(|slot| Poll::readable(slot.as_ref().map(|connection| &connection.socket)))
    }

    /// Takes a new one.
    pub fn accept(&mut self) {
        if let Some(slot) = self.slots.iter_mut().find(|slot| slot.is_none())
            && let Ok(socket) = sys::accept(&self.listener)
        {
            *slot = Some(Connection { socket, awaits_start: false });
        }
    }

    /// The connection in a slot.
    pub fn slot(&mut self, number: usize) -> Option<&mut Option<Connection>> {
        self.slots.get_mut(number)
    }

    /// Answers everybody who asked to start.
    pub fn answer_start(&mut self, report: &Report) {
        for connection in self.slots.iter_mut().flatten() {
            if core::mem::take(&mut connection.awaits_start) {
                connection.answer(report, None);
            }
        }
    }
}
