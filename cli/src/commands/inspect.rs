//! `inspect`.

use crate::console;
use crate::engine::{Engine, call};
use crate::error::Result;
use crate::render::inspect::{InspectedContainer, InspectedImage};
use crate::render::json_pretty;
use schema::containers::Container;
use schema::image_store::Image;
use schema::{Code, Failure};
use serde::{Serialize, Serializer};

/// What a name stands for.
enum Object {
    Container(Box<Container>),
    Image(Box<Image>),
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Container(container) => InspectedContainer::from(&**container).serialize(serializer),
            Self::Image(image) => InspectedImage::from(&**image).serialize(serializer),
        }
    }
}

/// Prints what is known of containers and images, as one list; names that are unknown are told.
pub(crate) async fn run(engine: &Engine, names: &[String]) -> Result<u8> {
    let mut objects = Vec::new();
    let mut status = 0;
    for name in names {
        match object(engine, name).await {
            Ok(object) => objects.push(object),
            Err(failure) => {
                console::complain(&failure);
                status = 1;
            }
        }
    }
    console::print_line(json_pretty(&objects)?)?;
    Ok(status)
}

async fn object(engine: &Engine, name: &str) -> Result<Object, Failure> {
    match engine.containers.inspect(&call(), name).await {
        Ok(container) => return Ok(Object::Container(Box::new(container))),
        Err(failure) if failure.code != Code::NotFound => return Err(failure),
        Err(_) => {}
    }
    match engine.images.resolve(&call(), name).await {
        Ok(image) => Ok(Object::Image(Box::new(image))),
        Err(failure) if matches!(failure.code, Code::NotFound | Code::InvalidArgument) => {
            Err(Failure::not_found(format_args!("no such container or image: {name}"))
                .hint("`cctl ps -a` and `cctl images` list what there is"))
        }
        Err(failure) => Err(failure),
    }
}
