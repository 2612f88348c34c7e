//! The contract, as its compiler wrote it down: which methods there are, and what their parameters look like.

use capnp::message::ReaderOptions;
use capnp::schema_capnp::{code_generator_request, field, method, node, type_};
use std::collections::HashMap;

/// The compiled contract, which all builds replay.
const REQUEST: &[u8] = include_bytes!("../../schema/contract.cgr");

/// A method of a service.
#[derive(Clone, Debug)]
pub(crate) struct Method {
    /// Its service: "image-store".
    pub(crate) service: String,
    /// As the contract writes it.
    pub(crate) name: String,
    /// Of its interface.
    pub(crate) interface: u64,
    /// Of the method in there.
    pub(crate) ordinal: u16,
    /// The struct of its parameters.
    pub(crate) params: u64,
}

/// A field of a struct: where it is, and in which variant of the struct's union, if it is in that.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) variant: Option<u16>,
    pub(crate) kind: Kind,
}

/// What a field is.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// At this offset, in units of its own size.
    Slot(usize, Type),
    /// Fields of this struct, in the same place.
    Group(u64),
}

/// What is in a slot.
#[derive(Clone, Debug)]
pub(crate) enum Type {
    Void,
    Bool,
    /// A number of so many bytes.
    Number(usize),
    Enum,
    Text,
    Data,
    List(Box<Self>),
    Struct(u64),
    /// Anything, or a capability.
    Other,
}

/// A struct of the contract.
#[derive(Clone, Debug)]
pub(crate) struct Struct {
    pub(crate) words: usize,
    pub(crate) pointers: usize,
    /// The offset of the union's tag, in units of 16 bits, and how many variants there are.
    pub(crate) union: Option<(usize, u16)>,
    pub(crate) fields: Vec<Field>,
}

/// All of it.
#[derive(Debug)]
pub(crate) struct Contract {
    pub(crate) structs: HashMap<u64, Struct>,
    pub(crate) methods: Vec<Method>,
}

impl Contract {
    /// Reads the compiled contract.
    pub(crate) fn read() -> Self {
        let message = capnp::serialize::read_message(REQUEST, ReaderOptions::new()).unwrap();
        let request: code_generator_request::Reader<'_> = message.get_root().unwrap();
        let (mut structs, mut methods) = (HashMap::new(), Vec::new());
        for node in request.get_nodes().unwrap() {
            match node.which().unwrap() {
                node::Struct(body) => {
                    structs.insert(node.get_id(), read_struct(body));
                }
                node::Interface(body) => {
                    // "image-store.capnp:ImageStore"
                    let name = node.get_display_name().unwrap().to_str().unwrap();
                    let service = name.split(".capnp:").next().unwrap().to_owned();
                    let all = body.get_methods().unwrap();
                    methods.extend(
                        (0..).zip(all).map(|(ordinal, one)| read_method(&service, node.get_id(), ordinal, one)),
                    );
                }
                _ => {}
            }
        }
        Self { structs, methods }
    }
}

fn read_method(service: &str, interface: u64, ordinal: u16, method: method::Reader<'_>) -> Method {
    let name = method.get_name().unwrap().to_str().unwrap().to_owned();
    Method { service: service.to_owned(), name, interface, ordinal, params: method.get_param_struct_type() }
}

fn read_struct(body: node::struct_::Reader<'_>) -> Struct {
    Struct {
        words: body.get_data_word_count().into(),
        pointers: body.get_pointer_count().into(),
        union: (body.get_discriminant_count() > 0)
            .then(|| (body.get_discriminant_offset().try_into().unwrap(), body.get_discriminant_count())),
        fields: body.get_fields().unwrap().iter().map(read_field).collect(),
    }
}

fn read_field(field: field::Reader<'_>) -> Field {
    let variant = field.get_discriminant_value();
    Field {
        name: field.get_name().unwrap().to_str().unwrap().to_owned(),
        variant: (variant != field::NO_DISCRIMINANT).then_some(variant),
        kind: match field.which().unwrap() {
            field::Slot(slot) => Kind::Slot(slot.get_offset().try_into().unwrap(), read_type(slot.get_type().unwrap())),
            field::Group(group) => Kind::Group(group.get_type_id()),
        },
    }
}

fn read_type(kind: type_::Reader<'_>) -> Type {
    match kind.which().unwrap() {
        type_::Void(()) => Type::Void,
        type_::Bool(()) => Type::Bool,
        type_::Int8(()) | type_::Uint8(()) => Type::Number(1),
        type_::Int16(()) | type_::Uint16(()) => Type::Number(2),
        type_::Int32(()) | type_::Uint32(()) | type_::Float32(()) => Type::Number(4),
        type_::Int64(()) | type_::Uint64(()) | type_::Float64(()) => Type::Number(8),
        type_::Text(()) => Type::Text,
        type_::Data(()) => Type::Data,
        type_::List(list) => Type::List(Box::new(read_type(list.get_element_type().unwrap()))),
        type_::Enum(_) => Type::Enum,
        type_::Struct(body) => Type::Struct(body.get_type_id()),
        type_::Interface(_) | type_::AnyPointer(_) => Type::Other,
    }
}
