//! One binary for all integration tests of the server.

mod cli;
mod imitation;
mod kill;
mod process;
mod shared_directory;
