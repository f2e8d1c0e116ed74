//! Writes the seeds of a target into a folder: `seeds TARGET FOLDER`.

use std::path::Path;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [target, folder] = arguments.as_slice() else {
        eprintln!("usage: seeds bundle|plan|npy|onnx FOLDER");
        std::process::exit(2);
    };
    let seeds = match target.as_str() {
        "bundle" => flashmem_plan_format::testing::fuzz::bundle_seeds(),
        "plan" => flashmem_plan_format::testing::fuzz::plan_seeds(),
        #[cfg(feature = "compiler")]
        "onnx" => flashmem_compiler::testing::onnx_seeds(),
        "npy" => flashmem_plan_format::testing::fuzz::npy_seeds(),
        other => {
            eprintln!("no target `{other}`, or its feature is off");
            std::process::exit(2);
        }
    };
    for (index, seed) in seeds.iter().enumerate() {
        let path = Path::new(folder).join(format!("seed-{index}"));
        if let Err(error) = std::fs::write(&path, seed) {
            eprintln!("{}: {error}", path.display());
            std::process::exit(1);
        }
    }
}
