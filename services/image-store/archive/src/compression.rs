//! Which compression an archive has, and its decoder.

use std::io::{self, BufRead, Read};

/// Memory that a decoder may use for its window: an archive that asks for more is refused.
const DECODER_MEMORY: u64 = 128 << 20;
/// The same for zstd, which counts in powers of two: 128 MiB.
const ZSTD_WINDOW_LOG: u32 = 27;

/// How an archive is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip, RFC 1952.
    Gzip,
    /// bzip2.
    Bzip2,
    /// xz.
    Xz,
    /// Zstandard, RFC 8878.
    Zstd,
}

impl Compression {
    /// Bytes of a file's beginning that [`detect`](Self::detect) needs.
    pub const MAGIC_LENGTH: usize = 6;

    /// From the first bytes of a file.
    pub fn detect(beginning: &[u8]) -> Self {
        const MAGIC: [(&[u8], Compression); 4] = [
            (&[0x1f, 0x8b], Compression::Gzip),
            (b"BZh", Compression::Bzip2),
            (&[0xfd, b'7', b'z', b'X', b'Z', 0], Compression::Xz),
            (&[0x28, 0xb5, 0x2f, 0xfd], Compression::Zstd),
        ];
        MAGIC.iter().find(|(magic, _)| beginning.starts_with(magic)).map_or(Self::None, |(_, found)| *found)
    }

    /// The media type of an OCI layer with this compression; none where OCI has none.
    pub fn media_type(self) -> Option<&'static str> {
        match self {
            Self::None => Some("application/vnd.oci.image.layer.v1.tar"),
            Self::Gzip => Some("application/vnd.oci.image.layer.v1.tar+gzip"),
            Self::Zstd => Some("application/vnd.oci.image.layer.v1.tar+zstd"),
            Self::Bzip2 | Self::Xz => None,
        }
    }

    /// What a layer's media type, OCI's or Docker's, says; none if it is not that of a layer.
    pub fn of_media_type(media_type: &str) -> Option<Self> {
        match media_type {
            "application/vnd.oci.image.layer.v1.tar" | "application/vnd.docker.image.rootfs.diff.tar" => {
                Some(Self::None)
            }
            "application/vnd.oci.image.layer.v1.tar+gzip" | "application/vnd.docker.image.rootfs.diff.tar.gzip" => {
                Some(Self::Gzip)
            }
            "application/vnd.oci.image.layer.v1.tar+zstd" | "application/vnd.docker.image.rootfs.diff.tar.zstd" => {
                Some(Self::Zstd)
            }
            _ => None,
        }
    }
}

/// Reads what `compressed` holds, to its end: what follows the compressed data is an error, except more
/// data of the same compression.
pub fn decoder<'a, R: BufRead + 'a>(compression: Compression, compressed: R) -> io::Result<Box<dyn Read + 'a>> {
    Ok(match compression {
        Compression::None => Box::new(compressed),
        Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(compressed)),
        Compression::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(compressed)),
        Compression::Xz => {
            let stream = liblzma::stream::Stream::new_stream_decoder(DECODER_MEMORY, liblzma::stream::CONCATENATED)?;
            Box::new(liblzma::bufread::XzDecoder::new_stream(compressed, stream))
        }
        Compression::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(compressed)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG)?;
            Box::new(decoder)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    const TEXT: &[u8] = b"What goes in comes out. What goes in comes out.";

    fn compressed(compression: Compression) -> Vec<u8> {
        match compression {
            Compression::None => TEXT.to_vec(),
            Compression::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
                encoder.write_all(TEXT).unwrap();
                encoder.finish().unwrap()
            }
            Compression::Bzip2 => {
                let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::default());
                encoder.write_all(TEXT).unwrap();
                encoder.finish().unwrap()
            }
            Compression::Xz => {
                let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 6);
                encoder.write_all(TEXT).unwrap();
                encoder.finish().unwrap()
            }
            Compression::Zstd => zstd::encode_all(TEXT, 3).unwrap(),
        }
    }

    const ALL: [Compression; 5] =
        [Compression::None, Compression::Gzip, Compression::Bzip2, Compression::Xz, Compression::Zstd];

    fn expand(compression: Compression, data: &[u8]) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        decoder(compression, data)?.read_to_end(&mut all)?;
        Ok(all)
    }

    #[test]
    fn every_compression_is_detected_and_read() {
        for compression in ALL {
            let data = compressed(compression);
            assert_eq!(Compression::detect(&data), compression);
            assert_eq!(expand(compression, &data).unwrap(), TEXT);
        }
    }

    #[test]
    fn concatenated_streams_are_read_on() {
        for compression in ALL {
            let twice = compressed(compression).repeat(2);
            assert_eq!(expand(compression, &twice).unwrap(), TEXT.repeat(2), "{compression:?}");
        }
    }

    #[test]
    fn cut_off_streams_and_garbage_behind_them_are_errors() {
        for compression in &ALL[1..] {
            let data = compressed(*compression);
            for length in 1..data.len() {
                assert!(expand(*compression, &data[..length]).is_err(), "{compression:?} cut at {length}");
            }
            let mut followed = data.clone();
            followed.extend_from_slice(b"garbage behind it");
            assert!(expand(*compression, &followed).is_err(), "{compression:?}");
        }
    }

    #[test]
    fn media_types_round_trip() {
        for compression in ALL {
            if let Some(media_type) = compression.media_type() {
                assert_eq!(Compression::of_media_type(media_type), Some(compression));
            }
        }
        assert_eq!(Compression::of_media_type("text/plain"), None);
    }
}
