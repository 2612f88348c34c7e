//! The command line client of cctl.

/// That of musl takes a quarter of a millisecond longer, for all that a command allocates.
#[cfg(target_env = "musl")]
#[global_allocator]
static HEAP: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

fn main() -> ! {
    cli::main()
}
