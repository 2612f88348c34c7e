//! `create`, and what `run` has in common with it.

use super::pull::{Wanted, pull};
use super::spec::{Surroundings, discards_ports, specification};
use crate::args::{Create, Options, Pull};
use crate::console;
use crate::engine::{Engine, call, new_id};
use crate::error::{Error, Result};
use crate::parse::port::private;
use crate::parse::reference::tagged;
use crate::transfer::unless_interrupted;
use schema::common::PortBinding;
use schema::containers::{Container, ContainerSpec};
use schema::image_store::Image;
use schema::log_collector::Stream;
use schema::{Code, ContainerId, Failure};
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

/// What is said of a container that may do everything.
const PRIVILEGED: &str = "warning: --privileged: this container has every capability and every device of the host, its \
    system calls are not filtered, and nothing of /proc and /sys is hidden or read-only: whoever is root in it is as good as \
    root on the host";

/// Records a container, and prints its id.
pub(crate) async fn run(engine: &Engine, arguments: &Create) -> Result<u8> {
    let options = &arguments.options;
    let spec = specification(options, false, &Surroundings::own()?)?;
    let id = new_id()?;
    let cidfile = CidFile::make(options)?;
    unless_interrupted(create(engine, &id, spec, options)).await?;
    cidfile.fill(&id)?;
    console::print_line(&id)?;
    Ok(0)
}

/// Records a container. An image that is missing is pulled first, if the user wants that.
pub(super) async fn create(
    engine: &Engine,
    id: &ContainerId,
    spec: ContainerSpec,
    options: &Options,
) -> Result<Container> {
    let spec = completed(engine, spec, options).await?;
    with_image(engine, options, async || engine.containers.create(&call(), id, &spec).await).await
}

/// A specification with all that its image has to say to it. Warns of what its user may not expect.
pub(super) async fn completed(engine: &Engine, mut spec: ContainerSpec, options: &Options) -> Result<ContainerSpec> {
    if discards_ports(options) {
        console::note("warning: published ports are discarded: they need `--network bridge`");
    }
    if spec.security.privileged {
        console::note(PRIVILEGED);
    }
    if options.pull == Pull::Always {
        fetch(engine, options).await?;
    }
    if options.publish_all || !options.platform.is_empty() {
        let image = image(engine, options).await?;
        if options.publish_all {
            publish_all(&mut spec, &image)?;
        }
    }
    Ok(spec)
}

/// Makes a container, or pulls the image that is missing and tries again.
pub(super) async fn with_image(
    engine: &Engine,
    options: &Options,
    make: impl AsyncFn() -> Result<Container, Failure>,
) -> Result<Container> {
    match make().await {
        Err(failure) if failure.code == Code::NotFound && options.pull == Pull::Missing => {
            // Something else may not have been found.
            match engine.images.resolve(&call(), options.image()).await {
                Err(absent) if absent.code == Code::NotFound => missing(engine, options).await?,
                _ => return Err(failure.into()),
            }
            Ok(make().await?)
        }
        answer => Ok(answer?),
    }
}

/// The image, of the platform that is asked for; brought if it is not here.
async fn image(engine: &Engine, options: &Options) -> Result<Image> {
    match engine.images.resolve(&call(), options.image()).await {
        Ok(image) if is_of(&image, &options.platform) => return Ok(image),
        Ok(_) if options.pull != Pull::Missing => {
            let (name, platform) = (options.image(), &options.platform);
            return Err(Failure::not_found(format_args!(
                "the image {name} that is here is not of platform {platform}"
            ))
            .into());
        }
        Ok(_) => {}
        Err(failure) if failure.code == Code::NotFound && options.pull == Pull::Missing => {}
        Err(failure) => return Err(failure.into()),
    }
    missing(engine, options).await?;
    Ok(engine.images.resolve(&call(), options.image()).await?)
}

/// Whether an image is of a platform, `os/architecture[/variant]`; empty: of any.
fn is_of(image: &Image, platform: &str) -> bool {
    let config = &image.config;
    let mut parts = platform.split('/');
    platform.is_empty()
        || (parts.next() == Some(&config.os)
            && parts.next().is_none_or(|architecture| architecture == config.architecture)
            && parts.next().is_none_or(|variant| variant == config.variant))
}

async fn missing(engine: &Engine, options: &Options) -> Result {
    if !options.quiet {
        console::write(
            Stream::Stderr,
            format!("Unable to find image '{}' locally\n", tagged(options.image())).as_bytes(),
        )?;
    }
    fetch(engine, options).await
}

async fn fetch(engine: &Engine, options: &Options) -> Result {
    let wanted = Wanted {
        reference: options.image(),
        platform: &options.platform,
        all_tags: false,
        quiet: options.quiet,
        stream: Stream::Stderr,
    };
    pull(engine, &wanted).await
}

/// Adds each port that the image exposes, unless it is published already.
fn publish_all(spec: &mut ContainerSpec, image: &Image) -> Result<(), Failure> {
    for exposed in &image.config.exposed_ports {
        let (container_port, protocol) = private(exposed).map_err(|error| {
            Failure::invalid(format_args!("the image exposes {exposed:?}, which is no port: {error}"))
        })?;
        let published =
            |binding: &PortBinding| (binding.container_port, binding.protocol) == (container_port, protocol);
        if !spec.ports.iter().any(published) {
            spec.ports.push(PortBinding { host_address: None, host_port: 0, container_port, protocol });
        }
    }
    Ok(())
}

/// The file that is to hold the container's id. It is removed again if there is no container.
pub(super) struct CidFile(Option<(File, PathBuf)>);

impl CidFile {
    /// Makes the file, if one is asked for. Fails if it exists: it may be another container's.
    pub(super) fn make(options: &Options) -> Result<Self, Failure> {
        let Some(path) = &options.cidfile else { return Ok(Self(None)) };
        match File::options().write(true).create_new(true).open(path) {
            Ok(file) => Ok(Self(Some((file, path.clone())))),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                Err(Failure::already_exists(format_args!("container ID file found: {}", path.display()))
                    .hint("make sure that the other container is not running, or remove the file"))
            }
            Err(error) => Err(Failure::io(format_args!("cannot write {}", path.display()), &error)),
        }
    }

    /// Whether one is asked for.
    pub(super) fn is_wanted(&self) -> bool {
        self.0.is_some()
    }

    /// Writes the id.
    pub(super) fn fill(mut self, id: &ContainerId) -> Result<(), Error> {
        if let Some((mut file, path)) = self.0.take() {
            file.write_all(id.as_str().as_bytes())
                .map_err(|error| Failure::io(format_args!("writing {}", path.display()), &error))?;
        }
        Ok(())
    }
}

impl Drop for CidFile {
    fn drop(&mut self) {
        if let Some((_, path)) = &self.0 {
            // It is empty, and of no use to anybody.
            let _ = std::fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::image::tests::image;

    #[test]
    fn exposed_ports_are_published_once() {
        let mut image = image(&[]);
        image.config.exposed_ports = vec!["80/tcp".into(), "53/udp".into()];
        let mut spec = ContainerSpec::default();
        publish_all(&mut spec, &image).unwrap();
        publish_all(&mut spec, &image).unwrap();
        assert_eq!(
            spec.ports.iter().map(|port| (port.host_port, port.container_port)).collect::<Vec<_>>(),
            [(0, 80), (0, 53)]
        );
        image.config.exposed_ports = vec!["x".into()];
        assert!(publish_all(&mut spec, &image).is_err());
    }

    #[test]
    fn platforms_are_compared_as_far_as_they_are_said() {
        let mut image = image(&[]);
        (image.config.os, image.config.architecture) = ("linux".into(), "arm64".into());
        assert!(is_of(&image, "") && is_of(&image, "linux") && is_of(&image, "linux/arm64"));
        assert!(!is_of(&image, "linux/amd64") && !is_of(&image, "linux/arm64/v8"));
    }
}
