//! The trees of a database, checked on the way: every page is where it should be, of its type, in the tree once, and
//! all keys are in order. Whatever a page says, this ends, and reads within the database.

use super::Damage;
use super::bolt::{Bolt, PAGE_HEADER, number16, number32, number64};

const BRANCH: u16 = 0x01;
const LEAF: u16 = 0x02;
const BRANCH_ELEMENT: usize = 16;
const LEAF_ELEMENT: usize = 16;
/// The flag of a leaf's element whose value is a bucket.
const BUCKET: u32 = 0x01;
/// What comes before the page of a bucket that is small enough to lie in its parent: the root's id, and a sequence.
const BUCKET_HEADER: usize = 16;
/// A branch has two children at least, and etcd's databases are far smaller than that allows.
const MAX_DEPTH: usize = 40;
/// What one page may hold, with those that belong to it: etcd takes no request near this.
const MAX_PAGE: u64 = 256 << 20;

/// What is called for each key and value.
pub(super) type Visit<'v> = dyn FnMut(&[u8], &[u8]) -> Result<(), Damage> + 'v;

/// A bucket at the root.
pub(super) struct Bucket {
    pub(super) name: Vec<u8>,
    /// The root page's id, or 0 and the page itself.
    value: Vec<u8>,
}

/// Reads trees. Each page may be seen once.
pub(super) struct Walk<'a> {
    bolt: &'a Bolt<'a>,
    /// One bit a page.
    seen: Vec<u64>,
    /// Buffers for later pages.
    spare: Vec<Vec<u8>>,
}

/// The order of a tree's keys so far.
#[derive(Default)]
struct Order {
    floor: Vec<u8>,
    /// Whether the next key may be the floor itself: a branch's key is also the first one below it.
    may_equal: bool,
}

impl<'a> Walk<'a> {
    pub(super) fn new(bolt: &'a Bolt<'a>) -> Self {
        let words = usize::try_from(bolt.pages / 64 + 1).unwrap_or(0);
        Self { bolt, seen: vec![0; words], spare: Vec::new() }
    }

    /// The buckets, in the order of their names.
    pub(super) fn buckets(&mut self) -> Result<Vec<Bucket>, Damage> {
        let mut buckets = Vec::new();
        self.tree(self.bolt.root, &mut Order::default(), 0, &mut |flags, name, value| {
            if flags & BUCKET == 0 {
                return Err(Damage::structure("it has a key outside of all buckets"));
            }
            buckets.push(Bucket { name: name.to_vec(), value: value.to_vec() });
            Ok(())
        })?;
        Ok(buckets)
    }

    /// Visits all keys and values of a bucket, in the order of the keys.
    pub(super) fn entries(&mut self, bucket: &Bucket, visit: &mut Visit<'_>) -> Result<(), Damage> {
        let name = || String::from_utf8_lossy(&bucket.name).into_owned();
        let mut visit = |flags, key: &[u8], value: &[u8]| {
            if flags & BUCKET == 0 {
                visit(key, value)
            } else {
                Err(Damage::structure("a bucket is inside of a bucket"))
            }
        };
        let root = number64(&bucket.value, 0).filter(|_| bucket.value.len() >= BUCKET_HEADER);
        match root {
            None => Err(Damage::structure(format!("the bucket {} has no root", name()))),
            Some(0) => leaf(&bucket.value[BUCKET_HEADER..], &mut Order::default(), &mut visit),
            Some(root) => self.tree(root, &mut Order::default(), 0, &mut visit),
        }
        .map_err(|damage| damage.within(format_args!("the bucket {}", name())))
    }

    fn tree(&mut self, id: u64, order: &mut Order, depth: usize, visit: &mut VisitFlagged<'_>) -> Result<(), Damage> {
        if depth > MAX_DEPTH {
            return Err(Damage::structure("its tree is too deep"));
        }
        let page = self.load(id)?;
        let done = match number16(&page, 8) {
            Some(LEAF) => leaf(&page, order, visit),
            Some(BRANCH) => self.branch(&page, order, depth, visit),
            _ => Err(Damage::structure(format!("page {id} is no part of a tree"))),
        };
        self.spare.push(page);
        done
    }

    fn branch(
        &mut self,
        page: &[u8],
        order: &mut Order,
        depth: usize,
        visit: &mut VisitFlagged<'_>,
    ) -> Result<(), Damage> {
        let count = count(page)?;
        if count == 0 {
            return Err(Damage::structure("a branch of its tree is empty"));
        }
        for index in 0..count {
            let element = PAGE_HEADER + index * BRANCH_ELEMENT;
            let (position, key_length) = (number32(page, element), number32(page, element + 4));
            let key = slice(page, element, position, key_length)?;
            let child = number64(page, element + 8).ok_or_else(torn)?;
            order.next(key, true)?;
            self.tree(child, order, depth + 1, visit)?;
        }
        Ok(())
    }

    /// Reads a page with those that belong to it.
    fn load(&mut self, id: u64) -> Result<Vec<u8>, Damage> {
        let mut page = self.spare.pop().unwrap_or_default();
        self.mark(id)?;
        let size = self.bolt.page_size;
        page.resize(length(size)?, 0);
        self.bolt.read(id, &mut page)?;
        if number64(&page, 0) != Some(id) {
            return Err(Damage::structure(format!("page {id} says it is another one")));
        }
        let more: u64 = number32(&page, 12).ok_or_else(torn)?.into();
        if more > 0 {
            let whole = (more + 1) * size;
            if whole > MAX_PAGE || id + more >= self.bolt.pages {
                return Err(Damage::structure(format!("page {id} says it is {whole} bytes long")));
            }
            (id + 1..=id + more).try_for_each(|id| self.mark(id))?;
            page.resize(length(whole)?, 0);
            self.bolt.read(id, &mut page)?;
        }
        Ok(page)
    }

    fn mark(&mut self, id: u64) -> Result<(), Damage> {
        // The first two are the meta pages.
        if !(2..self.bolt.pages).contains(&id) {
            return Err(Damage::structure(format!("its tree leads to page {id}, which is outside of it")));
        }
        let word = usize::try_from(id / 64).ok().and_then(|word| self.seen.get_mut(word)).ok_or_else(torn)?;
        let bit = 1 << (id % 64);
        if *word & bit != 0 {
            return Err(Damage::structure(format!("its tree leads to page {id} twice")));
        }
        *word |= bit;
        Ok(())
    }
}

type VisitFlagged<'v> = dyn FnMut(u32, &[u8], &[u8]) -> Result<(), Damage> + 'v;

fn leaf(page: &[u8], order: &mut Order, visit: &mut VisitFlagged<'_>) -> Result<(), Damage> {
    if number16(page, 8) != Some(LEAF) {
        return Err(Damage::structure("it has a page of the wrong type"));
    }
    for index in 0..count(page)? {
        let element = PAGE_HEADER + index * LEAF_ELEMENT;
        let flags = number32(page, element).ok_or_else(torn)?;
        let (position, key_length) = (number32(page, element + 4), number32(page, element + 8));
        let key = slice(page, element, position, key_length)?;
        let after = position.zip(key_length).and_then(|(position, length)| position.checked_add(length));
        let value = slice(page, element, after, number32(page, element + 12))?;
        order.next(key, false)?;
        visit(flags, key, value)?;
    }
    Ok(())
}

impl Order {
    fn next(&mut self, key: &[u8], may_equal: bool) -> Result<(), Damage> {
        let floor = self.floor.as_slice();
        // No key is empty, so the empty floor of the start is below all.
        if key < floor || (key == floor && !self.may_equal) {
            return Err(Damage::structure("its keys are not in order"));
        }
        self.floor.clear();
        self.floor.extend_from_slice(key);
        self.may_equal = may_equal;
        Ok(())
    }
}

fn count(page: &[u8]) -> Result<usize, Damage> {
    number16(page, 10).map(usize::from).ok_or_else(torn)
}

/// Bytes of a page, by what its element says.
fn slice(page: &[u8], element: usize, position: Option<u32>, length: Option<u32>) -> Result<&[u8], Damage> {
    let start = position.and_then(|position| element.checked_add(usize::try_from(position).ok()?));
    let end = start.zip(length).and_then(|(start, length)| start.checked_add(usize::try_from(length).ok()?));
    start.zip(end).and_then(|(start, end)| page.get(start..end)).ok_or_else(torn)
}

fn torn() -> Damage {
    Damage::structure("a page of it refers to bytes outside of it")
}

fn length(size: u64) -> Result<usize, Damage> {
    usize::try_from(size).map_err(|_| torn())
}
