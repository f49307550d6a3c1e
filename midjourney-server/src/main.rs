//! The `midjourney` command.

use std::process::ExitCode;

/// See `docs/performance.md` for what it is worth. Chosen here, not in a library: an embedder has an allocator already.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    midjourney_server::cli::main()
}
