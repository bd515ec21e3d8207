//! The binary: hands the command line to the library.

use std::process::ExitCode;

use clap::Parser;
use stape_api::command_line::CommandLine;

fn main() -> ExitCode {
    CommandLine::parse().run()
}
