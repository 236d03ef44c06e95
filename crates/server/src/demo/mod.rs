//! The demonstration.
/// Runs it.
pub async fn run(_exit: bool, _data: Option<std::path::PathBuf>) -> std::process::ExitCode {
    std::process::ExitCode::FAILURE
}
