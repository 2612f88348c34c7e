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
use std::time::Duration;

/// A connection that knows what has not been answered yet.
pub(crate) struct Talk {
    stream: UnixStream,
    questions: u32,
    waiting: BTreeMap<u32, String>,
}

impl Talk {
    /// Connects, and asks for the bootstrap capability.
    pub(crate) fn with(socket: &Path) -> Self {
        let stream = UnixStream::connect(socket).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.set_write_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut message = Builder::new_default();
        message.init_root::<message::Builder<'_>>().init_bootstrap().set_question_id(0);
        let mut talk = Self { stream, questions: 1, waiting: BTreeMap::new() };
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
        let mut reader = BufReader::new(&self.stream);
        self.waiting.retain(|_, method| !may_wait(method));
        while !self.waiting.is_empty() {
            let Ok(message) = serialize::read_message(&mut reader, ReaderOptions::new()) else { break };
            match message.get_root::<message::Reader<'_>>().unwrap().which().unwrap() {
                message::Return(answer) => drop(self.waiting.remove(&answer.unwrap().get_answer_id())),
                message::Abort(_) => break,
                _ => {}
            }
        }
        self.waiting.into_values().collect()
    }
}
