//! A message on the disk: a WAV file that is right at every moment, and beside it what is known of it.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;
use serde_json::Value;

/// Bytes before the samples.
const HEAD: u64 = 44;

/// A message that is being recorded.
///
/// The file is never ahead of its sound: samples are written first, then the two lengths in its head. Whoever kills us in between leaves a file
/// that plays up to the last length that was written.
#[derive(Debug)]
pub(super) struct Recording {
    path: PathBuf,
    file: File,
    /// Bytes of samples.
    written: u64,
}

impl Recording {
    /// Begins one in `folder`, which is made where it is not there. Room for `bytes` of samples is taken at once: a disk that is full says
    /// so before the caller is asked to speak.
    ///
    /// # Errors
    /// As the operating system says it; nothing is left behind.
    pub(super) fn begin(folder: &Path, id: &str, bytes: u64, about: &Value) -> io::Result<Recording> {
        fs::create_dir_all(folder)?;
        let path = folder.join(format!("{id}.wav"));
        // What a caller says is nobody's but the operator's.
        let mut options = File::options();
        let file = options.write(true).create_new(true).mode(0o640).open(&path)?;
        let mut recording = Recording { path, file, written: 0 };
        match recording.prepare(bytes, about) {
            Ok(()) => Ok(recording),
            Err(error) => {
                recording.delete();
                Err(error)
            }
        }
    }

    fn prepare(&mut self, bytes: u64, about: &Value) -> io::Result<()> {
        match fallocate(&self.file, FallocateFlags::KEEP_SIZE, 0, HEAD + bytes) {
            // Some file systems cannot do that.
            Ok(()) | Err(Errno::OPNOTSUPP) => {}
            Err(error) => return Err(error.into()),
        }
        self.file.write_all_at(&head(0), 0)?;
        let mut options = File::options();
        let mut beside = options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o640)
            .open(self.beside())?;
        beside.write_all(about.to_string().as_bytes())
    }

    fn beside(&self) -> PathBuf {
        self.path.with_extension("json")
    }

    /// More of it.
    ///
    /// # Errors
    /// As the operating system says it: what was written before is whole.
    pub(super) fn write(&mut self, samples: &[i16]) -> io::Result<()> {
        let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        self.file.write_all_at(&bytes, HEAD + self.written)?;
        self.written += bytes.len() as u64;
        self.file.write_all_at(&head(self.written), 0)
    }

    /// How long it is, seconds.
    pub(super) fn seconds(&self) -> f64 {
        self.written as f64 / 16_000.0
    }

    /// It is whole, and on the disk; what was taken and not used is given back.
    ///
    /// # Errors
    /// As the operating system says it.
    pub(super) fn end(self) -> io::Result<()> {
        self.file.set_len(HEAD + self.written)?;
        self.file.sync_all()
    }

    /// It is none.
    pub(super) fn delete(self) {
        let _ = fs::remove_file(self.beside());
        let _ = fs::remove_file(&self.path);
    }
}

/// RIFF, PCM of 16 bit, 8000 Hz, one channel.
fn head(bytes: u64) -> [u8; HEAD as usize] {
    let mut head = *b"RIFF....WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data....";
    let bytes = u32::try_from(bytes).unwrap_or(u32::MAX - 36);
    head[4..8].copy_from_slice(&(bytes + 36).to_le_bytes());
    head[40..44].copy_from_slice(&bytes.to_le_bytes());
    head
}

/// What is known of a message: what stood beside it, and its length.
pub(crate) fn about(folder: &Path, id: &str) -> Option<Value> {
    let mut about: Value = serde_json::from_slice(&fs::read(folder.join(format!("{id}.json"))).ok()?).ok()?;
    let wav = hound::WavReader::open(folder.join(format!("{id}.wav"))).ok()?;
    about["seconds"] = (f64::from(wav.duration()) / 8_000.0).into();
    Some(about)
}

/// The ids of all messages, in the order of their names.
///
/// # Errors
/// As the operating system says it; a folder that is not there yet is empty.
pub(crate) fn all(folder: &Path) -> io::Result<Vec<String>> {
    let files = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        files => files?,
    };
    let ids = files.filter_map(|file| {
        let name = file.ok()?.file_name().into_string().ok()?;
        let id = name.strip_suffix(".wav")?;
        is_id(id).then(|| id.to_owned())
    });
    let mut ids: Vec<_> = ids.collect();
    ids.sort_unstable();
    Ok(ids)
}

/// Whether it may be one: no path gets in.
pub(crate) fn is_id(id: &str) -> bool {
    let halves = id.split_once('-');
    halves.is_some_and(|(call, handoff)| {
        crate::ids::parse_call(call).is_some() && crate::ids::parse_handoff(handoff).is_some()
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ID: &str = "call_00000000000000aa-ho_00000000000000bb";

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("baton-voicemail-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        folder
    }

    fn samples(folder: &Path) -> Vec<i16> {
        let mut wav = hound::WavReader::open(folder.join(format!("{ID}.wav"))).expect("a WAV file");
        wav.samples().collect::<Result<_, _>>().expect("samples")
    }

    #[test]
    fn a_file_plays_at_every_moment_and_gives_back_what_it_did_not_need() {
        let folder = folder("whole");
        let mut recording = Recording::begin(&folder, ID, 960_000, &json!({ "target": "box" })).expect("begun");
        assert_eq!(samples(&folder), [0; 0]);
        recording.write(&[1, -2, 3]).expect("written");
        assert_eq!(samples(&folder), [1, -2, 3]);
        // Killed between the samples and their length: they are not there yet.
        recording
            .file
            .write_all_at(&[7; 32], HEAD + recording.written)
            .expect("written");
        assert_eq!(samples(&folder), [1, -2, 3]);
        recording.write(&[4]).expect("written");
        assert_eq!(about(&folder, ID), Some(json!({ "target": "box", "seconds": 0.0005 })));
        recording.end().expect("whole");
        assert_eq!(samples(&folder), [1, -2, 3, 4]);
        assert_eq!(
            fs::metadata(folder.join(format!("{ID}.wav"))).expect("a file").len(),
            52
        );
        assert_eq!(all(&folder).expect("a folder"), [ID]);
        // There is one of that id: nobody overwrites it.
        Recording::begin(&folder, ID, 10, &json!({})).expect_err("there is one");
        assert_eq!(samples(&folder), [1, -2, 3, 4]);
        fs::remove_dir_all(folder).expect("removed");
    }

    #[test]
    fn a_disk_without_room_or_a_folder_that_cannot_be_says_so_before_and_leaves_nothing() {
        let folder = folder("full");
        Recording::begin(&folder, ID, 1 << 60, &json!({})).expect_err("nobody has so much room");
        assert_eq!(all(&folder).expect("a folder"), [""; 0]);
        fs::write(folder.join("file"), "").expect("a file");
        Recording::begin(&folder.join("file"), ID, 10, &json!({})).expect_err("it is a file");
        fs::remove_dir_all(folder).expect("removed");
    }

    #[test]
    fn what_is_no_id_is_none() {
        assert!(is_id(ID));
        for id in [
            "",
            "..",
            "call_00000000000000aa",
            "../call_00000000000000aa-ho_00000000000000bb",
        ] {
            assert!(!is_id(id), "{id}");
        }
    }
}
