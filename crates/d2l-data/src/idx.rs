//! A reader for the IDX format of MNIST and its relatives, over any [`Read`], plain or gzip.
//!
//! The format: two zero bytes, a type code, the number of dimensions, each dimension as a
//! big-endian `u32`, then the data in row-major order. Only unsigned bytes (type 8) occur in
//! these data sets.
//!
//! A header is a claim, not a fact. Nothing is allocated from it: data is read in steps, the
//! buffer grows only with bytes that have really arrived, and a gzip stream may not unfold to
//! more than [`MAX_EXPANSION`] times what was read of it (deflate can reach 1032), so the memory
//! used is bounded by the real size of the file whatever it claims.

use std::io::{self, BufReader, Chain, Cursor, Read};

use flate2::bufread::MultiGzDecoder;

use crate::digest::{Sha256, hex};

/// How many times its compressed size a gzip stream may unfold to, beyond [`EXPANSION_SLACK`].
/// Fashion-MNIST unfolds 1.8 times, MNIST 4.7 times.
pub const MAX_EXPANSION: u64 = 256;
/// Bytes a gzip stream may always unfold to: a column of equal labels compresses without bound.
pub const EXPANSION_SLACK: u64 = 1 << 20;

const STEP: usize = 64 << 10;

/// Why a byte stream is not the IDX file that was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdxError {
    /// Nothing in it.
    #[error("the file is empty")]
    Empty,
    /// The stream ended inside the header.
    #[error("the header is cut off after {0} bytes")]
    TruncatedHeader(usize),
    /// The first bytes are something else's.
    #[error("not an IDX file (it starts with {start}, {looks_like})")]
    NotIdx {
        /// The first four bytes in hexadecimal.
        start: String,
        /// A guess at what it is.
        looks_like: &'static str,
    },
    /// IDX, but not of unsigned bytes.
    #[error("holds {0} where unsigned bytes (type 0x08) are expected")]
    WrongType(String),
    /// A file of labels where images belong.
    #[error(
        "holds labels (1 dimension) where images (3 dimensions) are expected; are the two files swapped?"
    )]
    LabelsForImages,
    /// A file of images where labels belong.
    #[error(
        "holds images (3 dimensions) where labels (1 dimension) are expected; are the two files swapped?"
    )]
    ImagesForLabels,
    /// Any other number of dimensions.
    #[error("has {found} dimensions where {expected} are expected")]
    WrongRank {
        /// In the header.
        found: usize,
        /// By the caller.
        expected: usize,
    },
    /// The dimensions cannot be a size.
    #[error("the header claims {0:?} bytes, which is more than can be addressed")]
    Overflow(Vec<u32>),
    /// A dimension of zero.
    #[error("the header claims dimensions {0:?}: there is no data in it")]
    NoData(Vec<u32>),
    /// Less data than the header claims.
    #[error("cut off: the header claims {claimed} bytes of data ({dimensions:?}), the file has {found}")]
    Truncated {
        /// By the header.
        claimed: u64,
        /// Really there.
        found: u64,
        /// In the header.
        dimensions: Vec<usize>,
    },
    /// More data than the header claims.
    #[error("there are bytes after the {claimed} that the header claims ({dimensions:?})")]
    Trailing {
        /// By the header.
        claimed: u64,
        /// In the header.
        dimensions: Vec<usize>,
    },
    /// The gzip stream is broken.
    #[error("the gzip stream is damaged or cut off: {0}")]
    Gzip(io::Error),
    /// The gzip stream unfolds beyond all reason.
    #[error("{compressed} bytes of gzip unfold to more than {unfolded}: refused as a decompression bomb")]
    Bomb {
        /// Read so far.
        compressed: u64,
        /// Unfolded from it.
        unfolded: u64,
    },
    /// The stream itself failed.
    #[error("cannot be read: {0}")]
    Read(#[from] io::Error),
}

/// The content of an IDX file of unsigned bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idx {
    /// The size of each dimension; the first counts the examples.
    pub dimensions: Vec<usize>,
    /// Row-major data, as many bytes as the product of the dimensions.
    pub data: Vec<u8>,
    /// SHA-256, in hexadecimal, of the uncompressed file: header and data. It is the same however
    /// the file was compressed.
    pub sha256: String,
}

impl Idx {
    /// Reads images: 3 dimensions, `[example][row][column]`.
    ///
    /// # Errors
    /// Any [`IdxError`]; a file of labels is told apart.
    pub fn read_images(reader: impl Read) -> Result<Self, IdxError> {
        Self::read(reader, 3)
    }

    /// Reads labels: 1 dimension.
    ///
    /// # Errors
    /// Any [`IdxError`]; a file of images is told apart.
    pub fn read_labels(reader: impl Read) -> Result<Self, IdxError> {
        Self::read(reader, 1)
    }

    /// Reads a stream with `rank` dimensions to its end; gzip is recognised by its first bytes.
    ///
    /// # Errors
    /// Any [`IdxError`].
    pub fn read(reader: impl Read, rank: usize) -> Result<Self, IdxError> {
        let mut reader = Counted {
            inner: reader,
            count: 0,
        };
        let mut start = Vec::with_capacity(2);
        reader.by_ref().take(2).read_to_end(&mut start)?;
        if start.is_empty() {
            return Err(IdxError::Empty);
        }
        let is_gzip = start == [0x1f, 0x8b];
        let reader = BufReader::with_capacity(STEP, Cursor::new(start).chain(reader));
        let body = if is_gzip {
            Body::Gzip(Box::new(MultiGzDecoder::new(reader)))
        } else {
            Body::Plain(reader)
        };
        read_body(body, rank)
    }

    /// The file's bytes, uncompressed: the inverse of [`Idx::read`].
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0, 0, 8, self.dimensions.len() as u8];
        for &size in &self.dimensions {
            bytes.extend_from_slice(&(size as u32).to_be_bytes());
        }
        bytes.extend_from_slice(&self.data);
        bytes
    }
}

/// Counts what is really read from the underlying stream.
struct Counted<R> {
    inner: R,
    count: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.count += read as u64;
        Ok(read)
    }
}

/// The stream from its first byte on.
type Start<R> = BufReader<Chain<Cursor<Vec<u8>>, Counted<R>>>;

enum Body<R: Read> {
    Plain(Start<R>),
    Gzip(Box<MultiGzDecoder<Start<R>>>),
}

impl<R: Read> Body<R> {
    /// Reads until `buffer` is full or the stream ends; returns how much of it was filled.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, IdxError> {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            let read = match self {
                Self::Plain(reader) => reader.read(rest),
                Self::Gzip(reader) => reader.read(rest),
            };
            match read {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failed(error)),
            }
        }
        Ok(filled)
    }

    fn failed(&self, error: io::Error) -> IdxError {
        match self {
            Self::Plain(_) => IdxError::Read(error),
            Self::Gzip(_) => IdxError::Gzip(error),
        }
    }

    fn check_expansion(&self, unfolded: u64) -> Result<(), IdxError> {
        let Self::Gzip(reader) = self else { return Ok(()) };
        let compressed = reader.get_ref().get_ref().get_ref().1.count;
        if unfolded
            > compressed
                .saturating_mul(MAX_EXPANSION)
                .saturating_add(EXPANSION_SLACK)
        {
            return Err(IdxError::Bomb { compressed, unfolded });
        }
        Ok(())
    }
}

fn read_body<R: Read>(mut body: Body<R>, rank: usize) -> Result<Idx, IdxError> {
    let mut hash = Sha256::new();
    let mut magic = [0u8; 4];
    let filled = body.fill(&mut magic)?;
    if filled == 0 {
        return Err(IdxError::Empty);
    }
    if magic[..2] != [0, 0] {
        return Err(not_idx(&magic[..filled]));
    }
    if filled < magic.len() {
        return Err(IdxError::TruncatedHeader(filled));
    }
    let [_, _, code, found_rank] = magic;
    if code != 0x08 {
        return Err(wrong_type(code, &magic));
    }
    match (usize::from(found_rank), rank) {
        (found, expected) if found == expected => {}
        (1, 3) => return Err(IdxError::LabelsForImages),
        (3, 1) => return Err(IdxError::ImagesForLabels),
        (found, expected) => return Err(IdxError::WrongRank { found, expected }),
    }
    hash.update(&magic);

    let mut sizes = Vec::with_capacity(rank);
    for position in 0..rank {
        let mut size = [0u8; 4];
        let filled = body.fill(&mut size)?;
        if filled < size.len() {
            return Err(IdxError::TruncatedHeader(4 + 4 * position + filled));
        }
        hash.update(&size);
        sizes.push(u32::from_be_bytes(size));
    }
    if sizes.contains(&0) {
        return Err(IdxError::NoData(sizes));
    }
    let claimed = sizes
        .iter()
        .try_fold(1usize, |product, &size| product.checked_mul(size as usize));
    let Some(claimed) = claimed.filter(|&bytes| bytes <= isize::MAX as usize) else {
        return Err(IdxError::Overflow(sizes));
    };
    let dimensions: Vec<usize> = sizes.iter().map(|&size| size as usize).collect();

    let mut data = Vec::new();
    let mut step = vec![0u8; STEP.min(claimed)];
    while data.len() < claimed {
        let wanted = (claimed - data.len()).min(step.len());
        let step = &mut step[..wanted];
        let filled = body.fill(step)?;
        if filled < wanted {
            let found = (data.len() + filled) as u64;
            return Err(IdxError::Truncated {
                claimed: claimed as u64,
                found,
                dimensions,
            });
        }
        body.check_expansion((data.len() + filled) as u64)?;
        hash.update(step);
        data.extend_from_slice(step);
    }
    // The read beyond the end also makes the gzip decoder check its CRC.
    if body.fill(&mut [0u8; 1])? != 0 {
        return Err(IdxError::Trailing {
            claimed: claimed as u64,
            dimensions,
        });
    }
    data.shrink_to_fit();
    Ok(Idx {
        dimensions,
        data,
        sha256: hash.finish(),
    })
}

fn not_idx(start: &[u8]) -> IdxError {
    let looks_like = match start {
        [b'<', ..] => "which looks like a web page",
        [b'P', b'K', ..] => "which looks like a zip archive: unpack it first",
        [0x89, b'P', ..] | [0xff, 0xd8, ..] => "which looks like a picture",
        [0x1f, 0x8b, ..] => "which looks like gzip inside gzip",
        _ => "an IDX file starts with 00 00",
    };
    IdxError::NotIdx {
        start: hex(start),
        looks_like,
    }
}

fn wrong_type(code: u8, magic: &[u8]) -> IdxError {
    let name = match code {
        0x09 => "signed bytes",
        0x0b => "16-bit integers",
        0x0c => "32-bit integers",
        0x0d => "32-bit floats",
        0x0e => "64-bit floats",
        _ => {
            let looks_like = "and that is no type code of IDX";
            return IdxError::NotIdx {
                start: hex(magic),
                looks_like,
            };
        }
    };
    IdxError::WrongType(format!("{name} (type {code:#04x})"))
}
