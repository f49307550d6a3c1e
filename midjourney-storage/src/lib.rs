//! Where jobs, pictures and keys are kept. Backends decide nothing: what a store must do is said by the traits of
//! `midjourney-core` and held by its conformance suites.
//!
//! | feature | what |
//! | --- | --- |
#![cfg_attr(
    feature = "sqlite",
    doc = "| `sqlite` | [`sqlite::SqliteJobStore`]: jobs in one SQLite file |"
)]
#![cfg_attr(
    feature = "postgres",
    doc = "| `postgres` | [`postgres::PostgresJobStore`]: jobs in PostgreSQL, shared by any number of nodes |"
)]
#![cfg_attr(
    feature = "fs",
    doc = "| `fs` | [`fs::LocalImageStore`]: pictures as files below one folder |"
)]
#![cfg_attr(
    feature = "_object",
    doc = "| `s3`, `gcs`, `azure` | [`object::ObjectImageStore`]: pictures in a bucket of object storage |"
)]
//! | always | [`linked::LinkedImageStore`]: pictures that others hand out too |
//! | always | [`keys::FixedKeys`]: keys that were read once, such as from the environment |

#[cfg(feature = "assemble")]
pub mod assemble;
#[cfg(feature = "assemble")]
pub mod backup;
#[cfg(feature = "fs")]
pub mod fs;
pub mod keys;
pub mod linked;
#[cfg(feature = "_object")]
pub mod object;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod rows;
#[cfg(feature = "assemble")]
pub mod settings;
#[cfg(feature = "sqlite")]
pub mod sqlite;
#[cfg(feature = "assemble")]
mod transfer;

#[cfg(feature = "assemble")]
pub use assemble::{AssembleError, Assembled, Stores, assemble};
#[cfg(feature = "assemble")]
pub use settings::{Search, Settings, SettingsError};
