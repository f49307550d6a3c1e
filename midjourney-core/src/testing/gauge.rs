use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};

use super::tiny_png;
use crate::image::ByteStream;

/// How long the pieces of a stream are.
const PIECE: usize = 64 * 1024;

/// Gives files piece by piece, and counts how much of them was taken and how much is held at once.
#[derive(Clone, Debug, Default)]
pub struct Gauge(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    given: AtomicUsize,
    held: AtomicUsize,
    peak: AtomicUsize,
}

/// One piece, which is held until it is dropped.
struct Piece(Vec<u8>, Arc<Counts>);

impl Piece {
    fn new(bytes: Vec<u8>, counts: Arc<Counts>) -> Self {
        counts.given.fetch_add(bytes.len(), Ordering::SeqCst);
        let held = counts.held.fetch_add(bytes.len(), Ordering::SeqCst) + bytes.len();
        counts.peak.fetch_max(held, Ordering::SeqCst);
        Self(bytes, counts)
    }
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.1.held.fetch_sub(self.0.len(), Ordering::SeqCst);
    }
}

impl Gauge {
    /// A file that begins as a PNG does, of about this many bytes. Each piece is made when it is asked for.
    pub fn png(&self, length: usize) -> ByteStream {
        let counts = Arc::clone(&self.0);
        let pieces = (0..length.div_ceil(PIECE)).map(move |number| {
            let mut bytes = if number == 0 {
                tiny_png(1).to_vec()
            } else {
                Vec::new()
            };
            bytes.resize(PIECE, 0);
            Ok(Bytes::from_owner(Piece::new(bytes, Arc::clone(&counts))))
        });
        stream::iter(pieces).boxed()
    }

    /// How many bytes were taken in all.
    pub fn given(&self) -> usize {
        self.0.given.load(Ordering::SeqCst)
    }

    /// The most bytes that were held at once.
    pub fn peak(&self) -> usize {
        self.0.peak.load(Ordering::SeqCst)
    }
}
