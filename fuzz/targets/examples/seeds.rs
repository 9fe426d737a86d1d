//! Writes the seeds of `fuzz/corpus` that the code makes; run it after a change of the protocol.

use std::fs;
use std::path::Path;

fn main() -> std::io::Result<()> {
    for (target, name, bytes) in rgpu_fuzz_targets::seeds() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../corpus")
            .join(target);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(name), bytes)?;
    }
    Ok(())
}
