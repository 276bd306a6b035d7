//! Reading and writing files at a place, and making a change of a folder durable.
//!
//! The surprise: nothing here moves a file's cursor, so one handle serves any number of readers.

use std::{fs::File, io, path::Path};

/// Fills `into` from the place on.
pub(crate) fn read_at(file: &File, into: &mut [u8], at: u64) -> io::Result<()> {
    #[cfg(unix)]
    return std::os::unix::fs::FileExt::read_exact_at(file, into, at);
    #[cfg(windows)]
    {
        let mut done = 0;
        while done < into.len() {
            match std::os::windows::fs::FileExt::seek_read(
                file,
                &mut into[done..],
                at + done as u64,
            )? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => done += read,
            }
        }
        Ok(())
    }
}

/// Writes all of `bytes` at the place.
pub(crate) fn write_at(file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
    #[cfg(unix)]
    return std::os::unix::fs::FileExt::write_all_at(file, bytes, at);
    #[cfg(windows)]
    {
        let mut done = 0;
        while done < bytes.len() {
            done +=
                std::os::windows::fs::FileExt::seek_write(file, &bytes[done..], at + done as u64)?;
        }
        Ok(())
    }
}

/// Returns when files that were created, renamed or removed in the folder are so for good.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    // Windows cannot open folders, and does not need it.
    #[cfg(unix)]
    File::open(folder)?.sync_all()?;
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
}

/// Writes a whole file so that, whatever happens, there is either the old one or the new one.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let fresh = path.with_extension("tmp");
    let mut file = File::create(&fresh)?;
    io::Write::write_all(&mut file, bytes)?;
    file.sync_all()?;
    std::fs::rename(&fresh, path)?;
    sync_folder(path.parent().unwrap_or_else(|| Path::new(".")))
}
