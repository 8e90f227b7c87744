//! A load tool, from its first word to its exit status.

use std::process::ExitCode;

use crate::words::Words;

/// A tool of `cargo xtask`.
pub trait Tool {
    /// `cargo xtask NAME`.
    const NAME: &'static str;
    /// What `--help` prints.
    const HELP: &'static str;

    /// What is asked for.
    type Options;

    /// What the words mean; `None`: help is wanted.
    ///
    /// # Errors
    /// What is wrong with them.
    fn options(words: Words) -> Result<Option<Self::Options>, String>;

    /// Measures and prints. The exit status is 0 where all was as it must be, 1 where something was not.
    ///
    /// # Errors
    /// Why nothing could be measured: exit status 2.
    fn measure(options: &Self::Options) -> Result<ExitCode, String>;
}

/// The body of its `main`.
#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the command line speaks to people"
)]
pub fn main<T: Tool>() -> ExitCode {
    let name = T::NAME;
    let options = match T::options(Words::new(name, std::env::args().skip(1))) {
        Ok(Some(options)) => options,
        Ok(None) => {
            print!("{}", T::HELP);
            return ExitCode::SUCCESS;
        }
        Err(why) => {
            eprintln!("{name}: {why}\n{name}: `cargo xtask {name} --help` says what there is");
            return ExitCode::from(2);
        }
    };
    T::measure(&options).unwrap_or_else(|why| {
        eprintln!("{name}: {why}");
        ExitCode::from(2)
    })
}
