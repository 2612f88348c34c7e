//! The command line client of cctl.

fn main() -> ! {
    cli::main()
}
