//! The `midjourney` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    midjourney_server::cli::main()
}
