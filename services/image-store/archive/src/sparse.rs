//! Sparse files in the old GNU format: where the data that follows belongs.

use crate::source::{Block, Source};
use crate::{Error, MOST_PIECES};
use std::io::Read;
use tar::{GnuExtSparseHeader, GnuHeader, GnuSparseHeader};

/// Bytes of a sparse file that are in the archive; all others are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Where they belong in the file.
    pub offset: u64,
    /// How many.
    pub length: u64,
}

/// Reads a sparse member's map, which may go on in blocks behind its header. Gives the file's size too.
pub(crate) fn read_map<R: Read>(header: &GnuHeader, source: &mut Source<R>) -> Result<(u64, Vec<Piece>), Error> {
    let size = header.real_size().map_err(damaged)?;
    let mut pieces = Vec::new();
    add(&header.sparse, &mut pieces)?;
    let mut more = header.is_extended();
    while more {
        let block: Block = source.block()?.ok_or_else(|| source.cut_off())?;
        let mut next = GnuExtSparseHeader::new();
        next.as_mut_bytes().copy_from_slice(&block);
        add(next.sparse(), &mut pieces)?;
        more = next.is_extended();
    }
    check(size, &pieces)?;
    Ok((size, pieces))
}

fn add(from: &[GnuSparseHeader], pieces: &mut Vec<Piece>) -> Result<(), Error> {
    for piece in from.iter().filter(|piece| !piece.is_empty()) {
        if pieces.len() == MOST_PIECES {
            return Err(Error::invalid(format_args!("a sparse file has more than {MOST_PIECES} pieces")));
        }
        pieces.push(Piece { offset: piece.offset().map_err(damaged)?, length: piece.length().map_err(damaged)? });
    }
    Ok(())
}

/// Pieces are in order, do not overlap, and lie within the file.
fn check(size: u64, pieces: &[Piece]) -> Result<(), Error> {
    let mut end = 0;
    for piece in pieces {
        let next = piece.offset.checked_add(piece.length).filter(|next| piece.offset >= end && *next <= size);
        end = next.ok_or_else(|| damaged("its pieces overlap or leave the file"))?;
    }
    Ok(())
}

fn damaged(reason: impl std::fmt::Display) -> Error {
    Error::invalid(format_args!("a damaged sparse file: {reason}"))
}
