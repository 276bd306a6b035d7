//! The world on disk, so that it survives `kill -9` of the process that plays it.
//!
//! Not for power loss: a change is written to a second file that then replaces the first, without
//! fsync, which the operating system keeps whole when a process dies. The surprise: the file holds
//! user data as it was sent, like AWS itself would; only its owner may read it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::clock::Saved;
use super::world::World;

/// Version of the file's format.
const VERSION: u32 = 1;

/// The file's content.
#[derive(Serialize, Deserialize)]
struct Content<W> {
    version: u32,
    clock: Saved,
    world: W,
}

/// A file that holds the world.
#[derive(Debug)]
pub(super) struct Store {
    path: PathBuf,
}

impl Store {
    /// Opens `sandbox.json` in a folder, which is made if need be, and reads what it holds.
    pub(super) fn open(folder: &Path) -> io::Result<(Self, Option<(Saved, World)>)> {
        fs::create_dir_all(folder)?;
        let path = folder.join("sandbox.json");
        let content = match fs::read(&path) {
            Ok(bytes) => {
                let content: Content<World> = serde_json::from_slice(&bytes)?;
                if content.version != VERSION {
                    let message = format!("format {} is not {VERSION}", content.version);
                    return Err(io::Error::new(io::ErrorKind::InvalidData, message));
                }
                Some((content.clock, content.world))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        Ok((Store { path }, content))
    }

    /// Replaces the file's content.
    pub(super) fn save(&self, clock: Saved, world: &World) -> io::Result<()> {
        let bytes = serde_json::to_vec(&Content { version: VERSION, clock, world })?;
        let next = self.path.with_extension("next");
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        io::Write::write_all(&mut options.open(&next)?, &bytes)?;
        fs::rename(&next, &self.path)
    }
}
