//! What a process has cost: CPU time and memory, as Linux tells in `/proc`; and files out of cache.
//!
//! The surprise: work goes on after the last answer, sealing and compaction, so whoever counts CPU
//! waits until the process has come to rest.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::fs::{Advice, fadvise};
use tokio::time::{Instant, sleep_until};

/// How long the process is watched to tell whether it rests.
const WATCH: Duration = Duration::from_secs(2);
/// What share of a core it may take while it rests.
const REST: f64 = 0.05;

/// A process of this machine.
#[derive(Debug, Clone)]
pub struct Process(PathBuf);

impl Process {
    /// By its number.
    pub fn new(pid: u32) -> Self {
        Self(Path::new("/proc").join(pid.to_string()))
    }

    /// This one.
    pub fn own() -> Self {
        Self("/proc/self".into())
    }

    /// How many seconds of CPU all of its threads have taken so far.
    ///
    /// # Errors
    /// If there is no such process.
    pub fn cpu_seconds(&self) -> io::Result<f64> {
        let text = fs::read_to_string(self.0.join("stat"))?;
        // The name, which may hold anything, stands in parentheses before the numbers.
        let numbers = text.rsplit_once(')').map_or("", |(_, numbers)| numbers);
        let mut numbers = numbers.split_ascii_whitespace().skip(11).map(str::parse::<f64>);
        let (Some(Ok(user)), Some(Ok(system))) = (numbers.next(), numbers.next()) else {
            return Err(io::Error::other(format!("{} is not as expected", self.0.display())));
        };
        #[allow(clippy::cast_precision_loss, reason = "a hundred or so")]
        let ticks_per_second = rustix::param::clock_ticks_per_second() as f64;
        Ok((user + system) / ticks_per_second)
    }

    /// The most memory it has had resident, in bytes.
    ///
    /// # Errors
    /// If there is no such process.
    pub fn peak_memory(&self) -> io::Result<u64> {
        self.status("VmHWM:")
    }

    /// How much memory of its own (mapped files left out) it has resident now, in bytes.
    ///
    /// # Errors
    /// If there is no such process.
    pub fn memory(&self) -> io::Result<u64> {
        self.status("RssAnon:")
    }

    fn status(&self, name: &str) -> io::Result<u64> {
        let text = fs::read_to_string(self.0.join("status"))?;
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        let kilobytes: u64 = line
            .trim()
            .trim_end_matches(" kB")
            .parse()
            .map_err(|_| io::Error::other(format!("{} has no {name}", self.0.display())))?;
        Ok(kilobytes * 1024)
    }

    /// Waits until it hardly takes CPU any more, at most this long. Says whether it does rest.
    ///
    /// # Errors
    /// If there is no such process.
    pub async fn rest(&self, at_most: Duration) -> io::Result<bool> {
        let deadline = Instant::now() + at_most;
        let mut before = self.cpu_seconds()?;
        while Instant::now() < deadline {
            sleep_until(Instant::now() + WATCH).await;
            let now = self.cpu_seconds()?;
            if now - before < REST * WATCH.as_secs_f64() {
                return Ok(true);
            }
            before = now;
        }
        Ok(false)
    }
}

/// Has the kernel forget what it caches of all files in a folder.
///
/// # Errors
/// If the folder cannot be read.
pub fn drop_cache(folder: &Path) -> io::Result<()> {
    each_file(folder, &mut |path| {
        // A file that compaction has just removed is not in the cache either.
        let Ok(file) = File::open(path) else { return Ok(()) };
        // Pages that are not yet written stay.
        file.sync_data()?;
        fadvise(&file, 0, None, Advice::DontNeed).map_err(io::Error::from)
    })
}

/// How many bytes of disk the files in a folder take.
///
/// # Errors
/// If the folder cannot be read.
pub fn disk_bytes(folder: &Path) -> io::Result<u64> {
    use std::os::unix::fs::MetadataExt;
    let mut bytes = 0;
    each_file(folder, &mut |path| {
        // Blocks are of 512 bytes, whatever the file system's own are.
        bytes += fs::metadata(path).map_or(0, |it| it.blocks() * 512);
        Ok(())
    })?;
    Ok(bytes)
}

fn each_file(folder: &Path, todo: &mut impl FnMut(&Path) -> io::Result<()>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            each_file(&entry.path(), todo)?;
        } else {
            todo(&entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_grows_with_work_and_memory_has_a_peak() {
        let process = Process::new(std::process::id());
        let before = process.cpu_seconds().unwrap();
        // Ends as soon as a tick of the clock was taken by reading.
        while process.cpu_seconds().unwrap() <= before {}
        assert!(process.memory().unwrap() > 100_000);
        assert!(process.peak_memory().unwrap() >= process.memory().unwrap());
    }

    #[test]
    fn a_process_that_is_gone_is_an_error() {
        assert!(Process::new(u32::MAX).cpu_seconds().is_err());
    }

    #[test]
    fn a_folder_takes_what_its_files_take() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("inner")).unwrap();
        fs::write(folder.path().join("inner/a"), vec![1; 100_000]).unwrap();
        drop_cache(folder.path()).unwrap();
        let bytes = disk_bytes(folder.path()).unwrap();
        assert!((100_000..140_000).contains(&bytes), "{bytes}");
    }
}
