//! Development tasks.
#[expect(clippy::print_stderr, reason = "the command line speaks to people")]
fn main() {
    eprintln!("not built yet");
    std::process::exit(2);
}
