//! bbolt's file: pages, and the two meta pages at its start that say where everything else is.
//!
//! Layout from bbolt's `internal/common`. Numbers are little-endian, as on every machine that etcd is released for
//! but one.

use super::Damage;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// The first bytes of every page: its id, type, number of elements, and how many pages follow that belong to it.
pub(super) const PAGE_HEADER: usize = 16;
const META_LENGTH: usize = 64;
const MAGIC: u32 = 0xED0C_DAED;
const VERSION: u32 = 2;
const META_PAGE: u16 = 0x04;
/// The page sizes of the machines there are, and some more.
const PAGE_SIZES: std::ops::RangeInclusive<u32> = 9..=16;

/// An open database.
#[derive(Debug)]
pub(super) struct Bolt<'a> {
    file: &'a File,
    pub(super) page_size: u64,
    /// How many pages there are, used and free ones.
    pub(super) pages: u64,
    /// The page that lists the buckets.
    pub(super) root: u64,
}

#[derive(Clone, Copy, Debug)]
struct Meta {
    page_size: u32,
    root: u64,
    pages: u64,
    transaction: u64,
}

impl<'a> Bolt<'a> {
    /// Reads the meta pages; none when the file does not begin as a database at all.
    pub(super) fn open(file: &'a File) -> Result<Option<Self>, Damage> {
        let mut begins = false;
        let mut at = |offset: u64| -> Result<Option<Meta>, Damage> {
            let Some(page) = read_start(file, offset)? else { return Ok(None) };
            begins |= number32(&page, PAGE_HEADER) == Some(MAGIC);
            Ok(Meta::read(&page))
        };
        let first = at(0)?;
        // Only a valid first one tells where the second one is.
        let sizes = first.map_or_else(
            || PAGE_SIZES.map(|exponent| 1_u64 << exponent).collect(),
            |meta| vec![u64::from(meta.page_size)],
        );
        let mut newest = first;
        for size in sizes {
            let second = at(size)?.filter(|meta| u64::from(meta.page_size) == size);
            newest = newest.into_iter().chain(second).max_by_key(|meta| meta.transaction);
        }
        let Some(meta) = newest else {
            return if begins { Err(Damage::structure("both of its meta pages are damaged")) } else { Ok(None) };
        };
        Ok(Some(Self { file, page_size: meta.page_size.into(), pages: meta.pages, root: meta.root }))
    }

    /// How many bytes it takes.
    pub(super) fn size(&self) -> u64 {
        self.pages.saturating_mul(self.page_size)
    }

    /// Fills the buffer from the page's start.
    pub(super) fn read(&self, page: u64, buffer: &mut [u8]) -> Result<(), Damage> {
        Ok(self.file.read_exact_at(buffer, page * self.page_size)?)
    }
}

impl Meta {
    /// The meta page, if it is a valid one.
    fn read(page: &[u8]) -> Option<Self> {
        let meta = &page[PAGE_HEADER..];
        let checksum = number64(meta, 56)?;
        let read = Self {
            page_size: number32(meta, 8)?,
            root: number64(meta, 16)?,
            pages: number64(meta, 40)?,
            transaction: number64(meta, 48)?,
        };
        let valid = number16(page, 8)? == META_PAGE
            && number32(meta, 0)? == MAGIC
            && number32(meta, 4)? == VERSION
            && checksum == fnv(&meta[..56])
            && PAGE_SIZES.clone().any(|exponent| read.page_size == 1 << exponent)
            && (2..read.pages).contains(&read.root)
            && read.pages.checked_mul(read.page_size.into()).is_some();
        valid.then_some(read)
    }
}

/// The header and meta of a page at the offset; none when the file ends before.
fn read_start(file: &File, offset: u64) -> Result<Option<[u8; PAGE_HEADER + META_LENGTH]>, Damage> {
    let mut start = [0; PAGE_HEADER + META_LENGTH];
    match file.read_exact_at(&mut start, offset) {
        Ok(()) => Ok(Some(start)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// 64-bit FNV-1a.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3))
}

pub(super) fn number16(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|bytes| u16::from_le_bytes(*bytes))
}

pub(super) fn number32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}

pub(super) fn number64(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}
