//! `flashmem-compile`: compiles an ONNX model into a `.fmplan` bundle. See `cli/`.

mod cli;

fn main() -> std::process::ExitCode {
    cli::run::main()
}
