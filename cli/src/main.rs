//! The command line client of cctl.

/// That of musl takes as long for all of a command's memory as everything else that the command does.
#[cfg(target_env = "musl")]
#[global_allocator]
static HEAP: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

fn main() -> ! {
    cli::main()
}
