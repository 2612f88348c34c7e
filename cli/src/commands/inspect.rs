//! `inspect`.

use crate::args::{Format, Inspect, Kind};
use crate::console;
use crate::engine::{Engine, call};
use crate::error::Result;
use crate::render::inspect::{InspectedContainer, InspectedImage};
use crate::render::listing::apply;
use crate::render::{json_line, json_pretty};
use crate::template::Data;
use schema::containers::Container;
use schema::filesystem::Usage;
use schema::image_store::Image;
use schema::{Code, Failure};
use serde::{Serialize, Serializer};

/// What a name stands for.
enum Object {
    Container(Box<Container>, Option<Usage>),
    Image(Box<Image>),
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Container(container, usage) => {
                let inspected = InspectedContainer::from(&**container);
                match usage {
                    Some(usage) => inspected.with_usage(*usage).serialize(serializer),
                    None => inspected.serialize(serializer),
                }
            }
            Self::Image(image) => InspectedImage::from(&**image).serialize(serializer),
        }
    }
}

/// Prints what is known of containers and images; names that are unknown are told.
pub(crate) async fn run(engine: &Engine, arguments: &Inspect) -> Result<u8> {
    let mut objects = Vec::new();
    let mut failures = Vec::new();
    for name in &arguments.names {
        match object(engine, name, arguments).await {
            Ok(object) => objects.push(object),
            Err(failure) => failures.push(failure),
        }
    }
    match &arguments.format {
        None | Some(Format::Table) => console::print_line(json_pretty(&objects)?)?,
        Some(Format::Json) => console::print_line(json_line(&objects)?)?,
        Some(Format::Template(template) | Format::TableOf(template)) => {
            for object in &objects {
                let data = Data::new(serde_json::to_value(object).map_err(Failure::internal)?);
                console::print_line(apply(template, &data)?)?;
            }
        }
    }
    failures.iter().for_each(console::complain);
    Ok(u8::from(!failures.is_empty()))
}

async fn object(engine: &Engine, name: &str, arguments: &Inspect) -> Result<Object, Failure> {
    let kind = arguments.r#type;
    if kind != Some(Kind::Image) {
        match engine.containers.inspect(&call(), name).await {
            Ok(container) => {
                let id = container.id.as_str();
                let usage = if arguments.size { Some(engine.containers.usage(&call(), id).await?) } else { None };
                return Ok(Object::Container(Box::new(container), usage));
            }
            Err(failure) if failure.code != Code::NotFound || kind == Some(Kind::Container) => return Err(failure),
            Err(_) => {}
        }
    }
    match engine.images.resolve(&call(), name).await {
        Ok(image) => Ok(Object::Image(Box::new(image))),
        Err(failure) if kind.is_none() && matches!(failure.code, Code::NotFound | Code::InvalidArgument) => {
            Err(Failure::not_found(format_args!("No such object: {name}"))
                .hint("`cctl ps -a` and `cctl images` list what there is"))
        }
        Err(failure) => Err(failure),
    }
}
