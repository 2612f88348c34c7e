@0xaed8dc73b70633ec;
# The image store owns blobs, image configurations and tags. It parses what comes from outside and
# therefore runs without any privilege; what it hands out is verified.

using Common = import "common.capnp";

interface ImageStore extends(Common.Service) {
  # Callers: `cctl` (all), `containers` (resolve), `filesystem` (blob).

  resolve @0 (call :Common.Call, reference :Text) -> (outcome :Common.Outcome(Image));
  # Finds an image by `repository[:tag]` (tag `latest` by default), by its id (64 hex digits, with or without
  # `sha256:`), or by a unique prefix of the id. An exact tag wins over a prefix. Idempotent.
  # Fails: notFound; conflict if a prefix is ambiguous; invalidArgument if it can be no reference.

  list @1 (call :Common.Call) -> (outcome :Common.Outcome(ImageList));
  # All images, newest first. Idempotent.

  blob @2 (call :Common.Call, digest :Text) -> (outcome :Common.Outcome(Blob));
  # Where a blob lies on this host. The file does not change as long as it exists. Idempotent.
  # Fails: notFound; corrupt if its length is not what was stored.

  upload @3 (call :Common.Call, upload :Text, offset :UInt64, data :Data) -> (outcome :Common.Outcome(UploadState));
  # Appends to an upload that the caller names (1 to 64 of [a-z0-9]); the first call creates it. `offset` is
  # where `data` belongs: bytes that are already there are skipped, so a repetition changes nothing. The
  # answer tells the length that is stored. At most 1 MiB a call. An upload that nobody touched for an hour
  # is removed.
  # Fails: conflict if `offset` lies beyond the stored length; resourceExhausted if the disk is full.

  importUpload @4 (call :Common.Call, upload :Text, request :ImportRequest) -> (outcome :Common.Outcome(Image));
  # Turns a complete upload, a tar archive (plain, gzip, bzip2, xz or zstd), into an image of one layer and
  # tags it. The archive is read to its end and refused as a whole if it is none. Repeated with the same
  # upload id: the same image.
  # Fails: notFound; invalidArgument if it is not a tar archive, or a bad repository or tag.

  abandon @5 (call :Common.Call, upload :Text) -> (outcome :Common.Outcome(Common.Done));
  # Forgets an upload. Idempotent: done also if there is none.
}

struct UploadState {
  length @0 :UInt64; # bytes stored
}

struct ImportRequest {
  reference @0 :Text; # repository[:tag]; empty: untagged
  source @1 :Text;    # where it came from, for the image's comment
}

struct Blob {
  path @0 :Text;
  size @1 :UInt64; # bytes
}

struct ImageList {
  images @0 :List(Image);
}

struct Image {
  id @0 :Text;                # digest of the image configuration: "sha256:<hex>"
  references @1 :List(Text);  # "repository:tag", sorted
  createdAt @2 :Int64;        # nanoseconds since the Unix epoch
  size @3 :UInt64;            # bytes of all blobs
  layers @4 :List(Common.Layer); # base first
  config @5 :ImageConfig;
}

struct ImageConfig {
  # What the image says of the process to run (OCI image-spec, `config`).
  environment @0 :List(Text); # "KEY=value"
  entrypoint @1 :List(Text);
  command @2 :List(Text);
  workingDirectory @3 :Text;
  user @4 :Text;
  stopSignal @5 :Text;
  architecture @6 :Text;
  os @7 :Text;
  comment @8 :Text;
}
