//! The contract is stable: what was published keeps its type ids, ordinals and types, and the compiled
//! request that builds replay is that of the `.capnp` files.

use capnp::message::ReaderOptions;
use capnp::schema_capnp::{code_generator_request, field, node, type_};
use std::collections::BTreeSet;
use std::error::Error;
use std::path::Path;
use std::process::Command;
use std::{env, fs};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// One line for each thing that a peer depends on.
fn lines(request: &[u8]) -> Result<BTreeSet<String>> {
    let message = capnp::serialize::read_message(request, ReaderOptions::new())?;
    let request: code_generator_request::Reader = message.get_root()?;
    let ours: BTreeSet<String> = request
        .get_requested_files()?
        .iter()
        .map(|file| Ok(file.get_filename()?.to_string()?))
        .collect::<Result<_>>()?;
    let mut lines = BTreeSet::new();
    for node in request.get_nodes()? {
        let name = node.get_display_name()?.to_str()?;
        if !ours.contains(name.split(':').next().unwrap_or_default()) {
            continue;
        }
        let id = node.get_id();
        match node.which()? {
            node::Struct(body) => {
                for field in body.get_fields()? {
                    lines.insert(format!("{name} {id:x} {}", describe_field(field)?));
                }
            }
            node::Enum(body) => {
                for (ordinal, enumerant) in body.get_enumerants()?.iter().enumerate() {
                    lines.insert(format!("{name} {id:x} {} @{ordinal}", enumerant.get_name()?.to_str()?));
                }
            }
            node::Interface(body) => {
                for (ordinal, method) in body.get_methods()?.iter().enumerate() {
                    lines.insert(format!("{name} {id:x} {}() @{ordinal}", method.get_name()?.to_str()?));
                }
            }
            _ => {}
        }
    }
    Ok(lines)
}

fn describe_field(field: field::Reader) -> Result<String> {
    let name = field.get_name()?.to_str()?;
    Ok(match field.which()? {
        field::Slot(slot) => format!(
            "{name} at {} type {} union {}",
            slot.get_offset(),
            describe_type(slot.get_type()?)?,
            field.get_discriminant_value()
        ),
        field::Group(group) => format!("{name} group {:x}", group.get_type_id()),
    })
}

fn describe_type(kind: type_::Reader) -> Result<String> {
    Ok(match kind.which()? {
        type_::List(list) => format!("list of {}", describe_type(list.get_element_type()?)?),
        type_::Struct(body) => format!("struct {:x}", body.get_type_id()),
        type_::Enum(body) => format!("enum {:x}", body.get_type_id()),
        type_::Interface(body) => format!("interface {:x}", body.get_type_id()),
        type_::AnyPointer(_) => "any".to_owned(),
        type_::Void(()) => "void".to_owned(),
        type_::Bool(()) => "bool".to_owned(),
        type_::Int8(()) => "i8".to_owned(),
        type_::Int16(()) => "i16".to_owned(),
        type_::Int32(()) => "i32".to_owned(),
        type_::Int64(()) => "i64".to_owned(),
        type_::Uint8(()) => "u8".to_owned(),
        type_::Uint16(()) => "u16".to_owned(),
        type_::Uint32(()) => "u32".to_owned(),
        type_::Uint64(()) => "u64".to_owned(),
        type_::Float32(()) => "f32".to_owned(),
        type_::Float64(()) => "f64".to_owned(),
        type_::Text(()) => "text".to_owned(),
        type_::Data(()) => "data".to_owned(),
    })
}

fn directory() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn what_was_published_stays() -> Result<()> {
    let golden = directory().join("tests/published.txt");
    let now = lines(&fs::read(directory().join("contract.cgr"))?)?;
    if env::var_os("PUBLISH").is_some() {
        fs::write(&golden, now.iter().map(|line| format!("{line}\n")).collect::<String>())?;
    }
    let published: BTreeSet<String> = fs::read_to_string(&golden)?.lines().map(str::to_owned).collect();
    let broken: Vec<_> = published.difference(&now).collect();
    assert!(broken.is_empty(), "a published part of the contract changed: {broken:#?}");
    let new: Vec<_> = now.difference(&published).collect();
    assert!(new.is_empty(), "publish what is new: PUBLISH=1 cargo test -p schema --test contract; {new:#?}");
    Ok(())
}

#[test]
fn the_compiled_contract_is_that_of_the_sources() -> Result<()> {
    let mut files: Vec<_> = fs::read_dir(directory())?
        .map(|entry| Ok(entry?.file_name()))
        .collect::<Result<Vec<_>>>()?
        .into_iter()
        .filter(|name| Path::new(name).extension().is_some_and(|ending| ending == "capnp"))
        .collect();
    files.sort();
    let output = Command::new("capnp").arg("compile").arg("-o-").args(&files).current_dir(directory()).output()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let committed = fs::read(directory().join("contract.cgr"))?;
    assert_eq!(lines(&output.stdout)?, lines(&committed)?, "run `make schema`");
    Ok(())
}
