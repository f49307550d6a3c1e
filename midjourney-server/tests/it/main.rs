//! One binary for all integration tests of the server.

mod cli;
mod http_bad_requests;
mod http_edge;
mod http_flow;
mod http_images;
mod http_openapi;
mod http_support;
mod imitation;
mod kill;
mod process;
mod shared_directory;
