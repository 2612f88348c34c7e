//! The image store: blobs, manifests, tags.

fn main() -> std::process::ExitCode {
    image_store::main()
}
