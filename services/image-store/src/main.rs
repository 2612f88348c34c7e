//! The image store: blobs, manifests, tags.

fn main() -> std::process::ExitCode {
    kit::boot::run(image_store::IDENTITY, image_store::start)
}
