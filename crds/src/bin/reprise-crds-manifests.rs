//! Writes the generated files: `cargo run -p reprise-crds --bin reprise-crds-manifests [FOLDER]`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

fn main() -> ExitCode {
    let folder = std::env::args_os()
        .nth(1)
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests"), PathBuf::from);
    match write(&folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(error.as_ref()),
    }
}

#[expect(clippy::print_stdout, reason = "tells a person which files were written")]
fn write(folder: &Path) -> Result<(), Box<dyn std::error::Error>> {
    std::fs::create_dir_all(folder)?;
    for manifest in reprise_crds::manifests::all()? {
        let path = folder.join(manifest.name);
        std::fs::write(&path, manifest.text)?;
        println!("{}", path.display());
    }
    Ok(())
}

#[expect(clippy::print_stderr, reason = "there is no log in a generator")]
fn complain(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("writing the generated files: {error}");
    ExitCode::FAILURE
}
