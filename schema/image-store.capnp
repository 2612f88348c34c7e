@0xaed8dc73b70633ec;
# The image store owns blobs, image configurations and tags. It parses what comes from outside and
# therefore runs without any privilege; what it hands out is verified.

using Common = import "common.capnp";

interface ImageStore extends(Common.Service) {
  # Callers: `cctl` (all), `containers` (resolve, list, lease, release, reconcile, commitUpload,
  # abandon), `filesystem` (blob, list, changed, upload, packUpload, uploadFile, abandon).

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

  # A transfer is named by its caller (1 to 64 of [a-z0-9]) and goes on by itself. Its methods begin it, or
  # join the one of that name, and answer its state as soon as that is newer than version `seen`, or after
  # `waitMs`. A caller repeats the call until the state is `done` or `failed`. A transfer that nobody asks
  # about for 10 s is given up; what had arrived serves the next one. After a restart of this service the same
  # call continues it. Its end is remembered for a minute.

  pull @6 (call :Common.Call, request :PullRequest, seen :UInt64, waitMs :UInt32) -> (outcome :Common.Outcome(Transfer));
  # Brings an image from a registry. Layers come side by side; two transfers share one download of a blob.
  # Nothing is tagged before every byte is verified.

  push @7 (call :Common.Call, request :PushRequest, seen :UInt64, waitMs :UInt32) -> (outcome :Common.Outcome(Transfer));
  # Sends an image to a registry: what is missing there, the manifest last.

  fetch @8 (call :Common.Call, request :FetchRequest, seen :UInt64, waitMs :UInt32) -> (outcome :Common.Outcome(Transfer));
  # Brings a file from an http or https URL into an upload.

  login @9 (call :Common.Call, registry :Text, credentials :Credentials) -> (outcome :Common.Outcome(Login));
  # Asks a registry whether it knows these credentials. Nothing is stored. Idempotent.
  # Fails: permissionDenied if it does not; unavailable if it cannot be asked.

  tag @10 (call :Common.Call, source :Text, target :Text, force :Bool) -> (outcome :Common.Outcome(Image));
  # Gives an image a further name. Done if it has it.
  # Fails: alreadyExists if another image has that name and `force` is not set.

  remove @11 (call :Common.Call, reference :Text, force :Bool) -> (outcome :Common.Outcome(Removed));
  # Takes a name from an image. The image goes with its last name, and what no other image needs goes with
  # it. By id: all names, if there is one at most or `force` is set. An image that a container uses keeps its
  # last name; with `force` it loses it, and goes when the last container has gone.
  # Fails: notFound; conflict (several names, or used; names the holders).

  history @12 (call :Common.Call, reference :Text) -> (outcome :Common.Outcome(HistoryList));
  # How an image was made, newest step first. Idempotent.

  describe @13 (call :Common.Call, reference :Text) -> (outcome :Common.Outcome(Description));
  # Its configuration and manifest as stored, byte for byte. Idempotent.

  commitUpload @14 (call :Common.Call, upload :Text, request :CommitRequest) -> (outcome :Common.Outcome(Image));
  # Makes an image of another one and a layer: a complete upload, an uncompressed tar archive. Repeated with
  # the same upload id: the same image.

  loadUpload @15 (call :Common.Call, upload :Text) -> (outcome :Common.Outcome(ImageList));
  # Takes the images of an archive (docker-archive or OCI layout, plain or compressed) from a complete upload.
  # All or none. Repeated: the same.
  # Fails: invalidArgument if it is neither, or a digest or size does not match.

  save @16 (call :Common.Call, references :List(Text), offset :UInt64, maxBytes :UInt32) -> (outcome :Common.Outcome(SavedPart));
  # Bytes of an archive of images, from `offset` on: a tar that is an OCI layout and a docker-archive at once.
  # The same references give the same bytes as long as no name was moved. At most 1 MiB a call. Idempotent.
  # Fails: conflict if an image changed since offset 0 was asked for.

  lease @17 (call :Common.Call, holder :Text, reference :Text) -> (outcome :Common.Outcome(Image));
  # As `resolve`, and keeps the image's content for `holder` (a container's id) until `release`. Idempotent;
  # a holder has one image: another reference takes the place of the first.

  release @18 (call :Common.Call, holder :Text) -> (outcome :Common.Outcome(Common.Done));
  # Ends a lease. Idempotent.

  reconcile @19 (call :Common.Call, leases :List(Lease)) -> (outcome :Common.Outcome(Common.Done));
  # These are all the leases that there are. Idempotent.

  changed @20 (call :Common.Call, seen :UInt64, waitMs :UInt32) -> (outcome :Common.Outcome(Generation));
  # A number that grows whenever an image is gone. Answers when it is not `seen`, or after `waitMs`. It starts
  # anew, at another number, with every start of this service. Idempotent.

  check @21 (call :Common.Call, repair :Bool) -> (outcome :Common.Outcome(Common.CheckReport));
  # Reads every blob and record and verifies it. With `repair`, sets damaged blobs aside, writes damaged records anew
  # from what is known, and makes those that were set aside again of the blobs that are there. It fetches nothing:
  # problems name the `sources` to pull; another `repair` after that gives lost images their names back. Idempotent.

  uploadFile @22 (call :Common.Call, upload :Text) -> (outcome :Common.Outcome(Blob));
  # Where an upload lies on this host. It does not change once its writer is done. Idempotent.
  # Fails: notFound.

  packUpload @23 (call :Common.Call, upload :Text) -> (outcome :Common.Outcome(Common.Done));
  # Says that an upload, which is begun if there is none, will be a layer for `commitUpload`: it is compressed while it
  # comes, if not too many others are. Whoever does not say so waits longer for `commitUpload`, and that is all. Idempotent.
  # Fails: conflict if the upload is an image already.
}

struct Credentials {
  # All empty: anonymous.
  user @0 :Text;
  password @1 :Text;
  identityToken @2 :Text; # in place of a password: an OAuth 2 refresh token
}

struct PullRequest {
  transfer @0 :Text;
  reference @1 :Text;      # [registry/]repository[:tag][@digest]
  platform @2 :Text;       # os/architecture[/variant]; empty: this host's
  allTags @3 :Bool;        # every tag of the repository
  credentials @4 :Credentials;
}

struct PushRequest {
  transfer @0 :Text;
  reference @1 :Text;      # of an image that is here
  allTags @2 :Bool;        # every tag of that repository
  credentials @3 :Credentials;
}

struct FetchRequest {
  transfer @0 :Text;
  url @1 :Text;            # http:// is assumed if it has no scheme
  upload @2 :Text;
}

struct Transfer {
  version @0 :UInt64;
  items @1 :List(TransferItem);
  union {
    running @2 :Void;
    done @3 :TransferResult;
    failed @4 :Common.Failure;
  }
}

struct TransferItem {
  title @0 :Text;       # first 12 digits of a digest, or a tag
  status @1 :TransferStatus;
  current @2 :UInt64;   # bytes
  total @3 :UInt64;     # bytes; 0: unknown
  note @4 :Text;        # why it is tried again; may be empty
}

enum TransferStatus {
  waiting @0;
  transferring @1;
  verifying @2;
  retrying @3;
  exists @4;    # was there already
  mounted @5;   # the registry had it in another repository
  done @6;
}

struct TransferResult {
  images @0 :List(Image);  # that were pulled or pushed
  digest @1 :Text;         # of the (last) manifest
  size @2 :UInt64;         # of that manifest; of a fetched file: its length
  upToDate @3 :Bool;       # nothing was new
  pushed @4 :List(Text);   # "tag digest size" of each tag that was pushed
  skipped @5 :List(Text);  # tags that could not be sent or brought, each with the reason
}

struct Login {
  identityToken @0 :Text;  # to keep in place of the password; empty: keep the password
}

struct Removed {
  untagged @0 :List(Text);
  deleted @1 :List(Text);  # ids of images
  freed @2 :UInt64;        # bytes of blobs
}

struct HistoryList {
  steps @0 :List(HistoryStep);
}

struct HistoryStep {
  image @0 :Text;         # id of the image that this step made, if it is here; else empty
  createdAt @1 :Int64;    # nanoseconds since the Unix epoch; 0: unknown
  createdBy @2 :Text;
  size @3 :UInt64;        # bytes of its layer, unpacked; 0 if it has none
  comment @4 :Text;
  references @5 :List(Text);
}

struct Description {
  configuration @0 :Data; # JSON
  manifest @1 :Data;      # JSON
  mediaType @2 :Text;     # of the manifest
}

struct CommitRequest {
  base @0 :Text;            # id of the image that lies below
  reference @1 :Text;       # repository[:tag]; empty: untagged
  message @2 :Text;
  author @3 :Text;
  container @4 :Text;       # id of the container that it was made of
  command @5 :List(Text);   # what that container ran, for the history
  config @6 :ImageConfig;
  changes @7 :List(Text);   # instructions as of a Dockerfile, applied to `config`
}

struct SavedPart {
  data @0 :Data;
  total @1 :UInt64; # bytes of the whole archive
}

struct Lease {
  holder @0 :Text;
  image @1 :Text;   # id
}

struct Generation {
  number @0 :UInt64;
}

struct UploadState {
  length @0 :UInt64; # bytes stored
}

struct ImportRequest {
  reference @0 :Text; # repository[:tag]; empty: untagged
  source @1 :Text;    # where it came from, for the image's comment
  message @2 :Text;   # the comment in its place; may be empty
  changes @3 :List(Text); # instructions as of a Dockerfile: "CMD …", "ENV KEY=value"
  platform @4 :Text;  # os/architecture[/variant]; empty: this host's
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
  manifest @6 :Text;          # digest of its manifest
  repositoryDigests @7 :List(Text); # "repository@sha256:<hex>" under which registries know it, sorted
  parent @8 :Text;            # id of the image that it was committed on, if any
  container @9 :Text;         # id of the container that it was committed from, if any
  author @10 :Text;
  holders @11 :List(Text);    # who has a lease on it
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
  labels @9 :List(Text);       # "key=value"
  exposedPorts @10 :List(Text); # "80/tcp"
  volumes @11 :List(Text);     # paths
  variant @12 :Text;           # of the architecture: "v8"
}
