//! Where things are: the workspace and the build directory.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The root of the workspace.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a folder of the workspace").to_owned()
}

/// The build directory, the same for every cargo that this program starts.
///
/// A clone made for one test run would compile everything anew; so on a build machine (`CI=true`) the directory lies
/// outside the clone, where the next run finds it. `CARGO_TARGET_DIR` has the last word.
pub fn target() -> PathBuf {
    static TARGET: OnceLock<PathBuf> = OnceLock::new();
    TARGET
        .get_or_init(|| {
            if let Some(dir) = set("CARGO_TARGET_DIR") {
                return root().join(dir);
            }
            let cache = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
            match cache {
                Some(cache) if std::env::var("CI").is_ok_and(|ci| ci == "true") => {
                    cache.join("rialto-target")
                }
                _ => root().join("target"),
            }
        })
        .clone()
}

/// The directory for tools and environments that the tests need and the machine lacks.
pub fn tools() -> PathBuf {
    target().join("tools")
}

/// The directory that the interop tests look into; it must agree with `interop::have::workshop`.
pub fn workshop() -> PathBuf {
    target().join("interop")
}

fn set(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from)
}
