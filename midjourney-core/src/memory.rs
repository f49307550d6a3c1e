//! Backends that live in this process and die with it.
//!
//! They are the reference for what the traits mean: small enough to be read whole, and held to the same suites as the
//! backends with a disk. Good for tests, examples and trying things out.

mod callbacks;
mod deliveries;
mod images;
mod jobs;
mod keys;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use deliveries::MemoryDeliveryStore;
pub use images::MemoryImageStore;
pub use jobs::MemoryJobStore;
pub use keys::MemoryKeys;

/// Every change is made by code that does not panic between its first and last write, so a poisoned lock still guards
/// whole values.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
