//! A connection by hand: no library of ours or of others keeps a caller from anything.

use crate::contract::{Contract, Method};
use crate::nonsense::Nonsense;
use capnp::message::{Builder, ReaderOptions, SegmentArray};
use capnp::{any_pointer, serialize};
use capnp_rpc::rpc_capnp::message;
use harness::Random;
use std::collections::BTreeMap;
use std::io::{BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection that knows what has not been answered yet. What is answered is read all the while: of one who does
/// not read, no further calls are taken.
pub(crate) struct Talk {
    stream: UnixStream,
    answers: Receiver<u32>,
    questions: u32,
    waiting: BTreeMap<u32, String>,
}

impl Talk {
    /// Connects, and asks for the bootstrap capability.
    pub(crate) fn with(socket: &Path) -> Self {
        let stream = UnixStream::connect(socket).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        let mut message = Builder::new_default();
        message.init_root::<message::Builder<'_>>().init_bootstrap().set_question_id(0);
        let (answered, answers) = channel();
        let reader = BufReader::new(stream.try_clone().unwrap());
        let tell = move |answer| {
            let _ = answered.send(answer);
        };
        std::thread::spawn(move || read(reader, tell));
        let mut talk = Self { stream, answers, questions: 1, waiting: BTreeMap::new() };
        talk.send(&serialize::write_message_to_words(&message));
        talk
    }

    /// What cannot be sent any more is as good as sent: the other end has had enough.
    fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Calls a method of the bootstrap capability with nonsense; `broken`: and changes bits of the message.
    pub(crate) fn call(&mut self, contract: &Contract, method: &Method, random: &mut Random, broken: bool) {
        let words = Nonsense::of(contract, random, method.params);
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let segments = [bytes.as_slice()];
        let params = capnp::message::Reader::new(SegmentArray::new(&segments), ReaderOptions::new());
        let mut message = Builder::new_default();
        let mut call = message.init_root::<message::Builder<'_>>().init_call();
        call.set_question_id(self.questions);
        call.set_interface_id(method.interface);
        call.set_method_id(method.ordinal);
        call.reborrow().init_target().init_promised_answer().set_question_id(0);
        let root: any_pointer::Reader<'_> = params.get_root().unwrap();
        call.init_params().get_content().set_as(root).unwrap();
        self.waiting.insert(self.questions, method.name.clone());
        self.questions += 1;
        let mut bytes = serialize::write_message_to_words(&message);
        if broken {
            // The first word says how long the message is: mostly it should be read whole.
            let first = if random.once_in(30) { 0 } else { 8 };
            for _ in 0..=random.below(6) {
                let place = first + random.index(bytes.len() - first);
                bytes[place] ^= 1 << random.below(8);
            }
        }
        self.send(&bytes);
    }

    /// The methods whose calls are not answered before the other end closes, or says nothing for long. Some need no
    /// answer.
    pub(crate) fn unanswered(mut self, may_wait: impl Fn(&String) -> bool) -> Vec<String> {
        self.waiting.retain(|_, method| !may_wait(method));
        while !self.waiting.is_empty()
            && let Ok(answer) = self.answers.recv_timeout(PATIENCE)
        {
            self.waiting.remove(&answer);
        }
        // Its other half is the reader's.
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
        self.waiting.into_values().collect()
    }
}

/// Tells the number of each answer, until the connection ends.
fn read(mut reader: BufReader<UnixStream>, mut told: impl FnMut(u32)) {
    while let Ok(message) = serialize::read_message(&mut reader, ReaderOptions::new()) {
        match message.get_root::<message::Reader<'_>>().unwrap().which().unwrap() {
            message::Return(answer) => told(answer.unwrap().get_answer_id()),
            message::Abort(_) => return,
            _ => {}
        }
    }
}
