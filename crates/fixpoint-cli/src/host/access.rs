//! Who may ask the server, and how the first administrator gets in.
//!
//! Not here: tokens themselves (`fixpoint_server`). The surprise: the first token is not printed.
//! What a server prints ends up in journals that others read; a file of one's own does not.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use fixpoint_server::{Access, Hosts, first_token, store::RunStore};

use crate::error::{CliError, Result};

/// Who may ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asking {
    /// Whoever has a token. `new_admin` makes an administrator's even if there was one before.
    Tokens { new_admin: bool },
    /// Whoever reaches the server by its address, as localhost, or by one of these names.
    Anyone { names: Vec<String> },
}

/// Lets in whoever may; also, the file with an administrator's token, if one was made.
pub(super) async fn access(
    asking: Asking,
    runs: &Arc<dyn RunStore>,
    data: &Path,
) -> Result<(Access, Option<PathBuf>)> {
    let new_admin = match asking {
        Asking::Anyone { names } => return Ok((Access::Anyone(Hosts::and(names)), None)),
        Asking::Tokens { new_admin } => new_admin,
    };
    let file = data.join("admin-token");
    let mut written = false;
    let keep = |secret: &str| {
        written = true;
        write_for_us(&file, secret)
    };
    let made = first_token(runs, new_admin, keep).await;
    // Whatever goes wrong, a token that opens nothing must not lie about.
    if written && !matches!(made, Ok(Some(_))) {
        let _gone = std::fs::remove_file(&file);
    }
    let made = made
        .map_err(|error| CliError::because("an administrator's token could not be made", error))?;
    Ok((Access::Tokens, made.map(|_| file)))
}

/// Writes a file that nobody else can read, in place of any that is there.
fn write_for_us(path: &Path, text: &str) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = ours(OpenOptions::new().write(true).create_new(true)).open(path)?;
    writeln!(file, "{text}")?;
    file.sync_all()?;
    // So that the file's name survives, too, before the token counts.
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

#[cfg(unix)]
fn ours(options: &mut OpenOptions) -> &mut OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    options.mode(0o600)
}

#[cfg(not(unix))]
fn ours(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

/// Makes a folder, and those above it, that nobody else can look into. One that is there already
/// stays as it is.
pub(super) fn folder_for_us(path: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder.create(path)
}

#[cfg(test)]
mod tests {
    use fixpoint_server::store::MemoryStore;

    use super::*;

    #[cfg(unix)]
    #[tokio::test]
    async fn the_first_token_is_in_a_file_for_its_owner_alone_and_written_once() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        folder_for_us(&data).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&data), 0o700);
        // One that anybody could read, left by somebody, is not written into.
        std::fs::write(data.join("admin-token"), "old").unwrap();

        let runs: Arc<dyn RunStore> = Arc::new(MemoryStore::new());
        let asking = Asking::Tokens { new_admin: false };
        let (_, file) = access(asking.clone(), &runs, &data).await.unwrap();
        let file = file.expect("a file");
        assert_eq!(mode(&file), 0o600);
        let first = std::fs::read_to_string(&file).unwrap();
        assert!(first.starts_with("fixpoint_"), "{}", first.len());
        let (_, again) = access(asking, &runs, &data).await.unwrap();
        assert_eq!(again, None);
        let (_, other) = access(Asking::Tokens { new_admin: true }, &runs, &data).await.unwrap();
        assert_ne!(std::fs::read_to_string(other.unwrap()).unwrap(), first);
    }
}
