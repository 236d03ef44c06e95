//! Archives that are more than they seem: bombs, which fill the disk or the time of whoever unpacks them. They are read through
//! as streams, to the limits and no further; nothing is ever unpacked onto a disk.

use ruzstd::decoding::StreamingDecoder;
use ruzstd::decoding::errors::FrameDecoderError;
use std::cell::{Cell, RefCell};
use std::io::{self, Chain, Cursor, Read, Seek, SeekFrom};

/// How much an archive may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArchiveLimits {
    /// Bytes of all that is in it, archives within it counted with what is in them.
    pub bytes: u64,
    /// So many times its own size, once that is more than 16 MiB.
    pub ratio: u64,
    /// Archives within archives.
    pub depth: usize,
    /// Files in it.
    pub files: u64,
}

impl Default for ArchiveLimits {
    fn default() -> Self {
        Self { bytes: 1 << 30, ratio: 200, depth: 5, files: 50_000 }
    }
}

/// What unpacks to less harms nobody, however small it was.
const FLOOR: u64 = 16 << 20;
/// A ZIP within another archive has its list at its end, so it is held in memory, if it is no larger than this.
const NESTED: u64 = 32 << 20;
/// So much shows what something is.
const HEAD: usize = 512;
/// What unpacking xz may need: what its highest level does, and little more.
const XZ_KIB: u32 = 80 * 1024;
const MEMORY: &str = "it is an archive that needs too much memory to unpack";
const CHUNK: usize = 64 * 1024;
/// What may stand before a file in a tar, to give it a long name and the like: whoever unpacks it holds that in memory.
const HEADERS: u64 = 1 << 20;

/// Reads and finds its place.
pub(crate) trait Source: Read + Seek {}
impl<T: Read + Seek + ?Sized> Source for T {}

/// Why an archive does not pass, in words. `None`: it is none, or one like others. What cannot be read as what it says it is
/// unpacks for nobody, and passes.
pub(crate) fn bomb(file: &mut dyn Source, limits: ArchiveLimits) -> io::Result<Option<String>> {
    let packed = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(0))?;
    let walk = Walk { limits, packed, unpacked: Cell::new(0), files: Cell::new(0), why: RefCell::new(None) };
    let head = head(file)?;
    file.seek(SeekFrom::Start(0))?;
    match kind(&head) {
        None => return Ok(None),
        Some(Kind::Zip) => walk.zip(file, 1),
        Some(_) => walk.stream(file, 0),
    }
    Ok(walk.why.into_inner())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Zip,
    Tar,
    Gzip,
    Bzip2,
    Xz,
    Zstd,
}

fn kind(head: &[u8]) -> Option<Kind> {
    let begins = |at: usize, magic: &[u8]| head.get(at..).is_some_and(|rest| rest.starts_with(magic));
    [
        (Kind::Zip, 0, &b"PK\x03\x04"[..]),
        // Of several parts, and with something before it, as far as that is short.
        (Kind::Zip, 0, b"PK\x07\x08"),
        (Kind::Zip, 4, b"PK\x03\x04"),
        (Kind::Tar, 257, b"ustar"),
        (Kind::Gzip, 0, b"\x1f\x8b"),
        (Kind::Bzip2, 0, b"BZh"),
        (Kind::Xz, 0, b"\xfd7zXZ\0"),
        (Kind::Zstd, 0, b"\x28\xb5\x2f\xfd"),
    ]
    .into_iter()
    .find(|(_, at, magic)| begins(*at, magic))
    .map(|(kind, ..)| kind)
}

fn head(reader: &mut dyn Read) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    reader.take(HEAD as u64).read_to_end(&mut head)?;
    Ok(head)
}

/// One walk through an archive and all that is in it.
struct Walk {
    limits: ArchiveLimits,
    packed: u64,
    unpacked: Cell<u64>,
    files: Cell<u64>,
    why: RefCell<Option<String>>,
}

impl Walk {
    /// It ends here: the first reason counts.
    fn stop(&self, why: String) {
        self.why.borrow_mut().get_or_insert(why);
    }

    fn is_over(&self) -> bool {
        self.why.borrow().is_some()
    }

    fn grew(&self, bytes: u64) {
        let all = self.unpacked.get().saturating_add(bytes);
        self.unpacked.set(all);
        if all > self.limits.bytes {
            self.stop(format!("it is an archive that unpacks to more than {} bytes", self.limits.bytes));
        } else if all > FLOOR && all / self.limits.ratio.max(1) > self.packed {
            self.stop(format!(
                "it is an archive that unpacks to more than {} times its size",
                self.limits.ratio
            ));
        }
    }

    fn one_more_file(&self) {
        self.files.set(self.files.get() + 1);
        if self.files.get() > self.limits.files {
            self.stop(format!("it is an archive of more than {} files", self.limits.files));
        }
    }

    /// What comes out of an archive, or the archive itself at depth 0.
    fn stream(&self, reader: &mut dyn Read, depth: usize) {
        let mut counted = Counted { inner: reader, walk: self, counts: depth > 0 };
        let head = match head(&mut counted) {
            Ok(head) => head,
            Err(error) if error.kind() == io::ErrorKind::OutOfMemory => return self.stop(MEMORY.to_owned()),
            Err(_) => return,
        };
        let kind = kind(&head);
        let mut whole = Cursor::new(head).chain(counted);
        if kind.is_some() && depth >= self.limits.depth {
            let most = self.limits.depth;
            return self.stop(format!("it has archives within archives, more than {most} deep"));
        }
        match kind {
            None => drain(&mut whole),
            Some(Kind::Zip) => self.nested_zip(&mut whole, depth + 1),
            Some(Kind::Tar) => self.tar(&mut whole, depth + 1),
            Some(Kind::Gzip) => self.stream(&mut flate2::read::MultiGzDecoder::new(whole), depth + 1),
            Some(Kind::Bzip2) => self.stream(&mut bzip2::read::MultiBzDecoder::new(whole), depth + 1),
            Some(Kind::Xz) => {
                self.stream(&mut lzma_rust2::XzReader::new_mem_limit(whole, true, XZ_KIB), depth + 1)
            }
            Some(Kind::Zstd) => match StreamingDecoder::new(whole) {
                Ok(mut decoder) => self.stream(&mut decoder, depth + 1),
                Err(FrameDecoderError::WindowSizeTooBig { .. }) => self.stop(MEMORY.to_owned()),
                Err(_) => {}
            },
        }
    }

    fn tar(&self, reader: &mut dyn Read, depth: usize) {
        let left = Cell::new(HEADERS);
        let mut archive = tar::Archive::new(Headers { inner: reader, walk: self, left: &left });
        let Ok(entries) = archive.entries() else { return };
        for entry in entries {
            let Ok(mut entry) = entry else { return };
            self.one_more_file();
            if self.is_over() {
                return;
            }
            left.set(u64::MAX);
            self.stream(&mut entry, depth);
            // What an archive within it has behind its end; after it comes nothing but headers.
            drain(&mut Counted { inner: &mut entry, walk: self, counts: true });
            left.set(HEADERS);
        }
    }

    fn nested_zip(&self, whole: &mut Chain<Cursor<Vec<u8>>, Counted<'_>>, depth: usize) {
        let mut held = Vec::new();
        if whole.take(NESTED + 1).read_to_end(&mut held).is_err() {
            return;
        }
        if held.len() as u64 > NESTED {
            return self.stop("an archive within it is too large to be looked into".to_owned());
        }
        self.zip(&mut Cursor::new(held), depth);
    }

    fn zip(&self, file: &mut dyn Source, depth: usize) {
        // Its list is read at once, so it must not be long.
        match listed(file, self.limits.files) {
            Ok(true) => {}
            Ok(false) => {
                return self.stop(format!("it is an archive of more than {} files", self.limits.files));
            }
            Err(_) => return,
        }
        let Ok(mut archive) = zip::ZipArchive::new(file) else { return };
        for at in 0..archive.len() {
            self.one_more_file();
            if self.is_over() {
                return;
            }
            if let Ok(mut entry) = archive.by_index(at) {
                self.stream(&mut entry, depth);
                continue;
            }
            // Locked, or packed in a way we do not know: what it says of itself must do.
            self.grew(archive.by_index_raw(at).map_or(0, |entry| entry.size()));
        }
    }
}

/// Has a ZIP no more entries than this? The file is at its begin again afterwards.
fn listed(file: &mut dyn Source, most: u64) -> io::Result<bool> {
    const ENTRY: &[u8] = b"PK\x01\x02";
    let mut buffer = vec![0; CHUNK];
    let (mut kept, mut count) = (0, 0);
    file.seek(SeekFrom::Start(0))?;
    loop {
        let n = file.read(&mut buffer[kept..])?;
        if n == 0 {
            break;
        }
        let filled = kept + n;
        count += memchr::memmem::find_iter(&buffer[..filled], ENTRY).count() as u64;
        if count > most {
            return Ok(false);
        }
        // An entry may begin at the end of what was read.
        kept = filled.min(ENTRY.len() - 1);
        buffer.copy_within(filled - kept..filled, 0);
    }
    file.seek(SeekFrom::Start(0))?;
    Ok(true)
}

fn drain(reader: &mut dyn Read) {
    // That it ended too early, or was told to, is seen elsewhere.
    let _ = io::copy(reader, &mut io::sink());
}

/// A stream whose bytes count; it ends where the walk is over.
struct Counted<'a> {
    inner: &'a mut dyn Read,
    walk: &'a Walk,
    counts: bool,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.walk.is_over() {
            return Err(io::Error::other("over"));
        }
        let n = self.inner.read(buffer)?;
        if self.counts {
            self.walk.grew(n as u64);
        }
        Ok(n)
    }
}

/// The stream of a tar, of which no more is read than `left`.
struct Headers<'a> {
    inner: &'a mut dyn Read,
    walk: &'a Walk,
    left: &'a Cell<u64>,
}

impl Read for Headers<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.left.get();
        if left == 0 {
            self.walk.stop("it is an archive with headers too long to be read".to_owned());
            return Err(io::Error::other("over"));
        }
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let n = self.inner.read(&mut buffer[..most])?;
        self.left.set(left - n as u64);
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;
    use zip::write::SimpleFileOptions;

    fn zipped(entries: &[(&str, &[u8])]) -> Vec<u8> {
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let options = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
        for (name, content) in entries {
            zip.start_file(*name, options).unwrap();
            zip.write_all(content).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    fn gzipped(content: &[u8]) -> Vec<u8> {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        gzip.write_all(content).unwrap();
        gzip.finish().unwrap()
    }

    fn tarred(entries: &[(&str, &[u8])]) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        for (name, content) in entries {
            let mut header = tar::Header::new_ustar();
            header.set_size(content.len() as u64);
            tar.append_data(&mut header, name, *content).unwrap();
        }
        tar.into_inner().unwrap()
    }

    fn words(file: &[u8], limits: ArchiveLimits) -> String {
        bomb(&mut Cursor::new(file), limits).unwrap().unwrap_or_default()
    }

    #[test]
    fn bombs_are_found_and_others_pass() {
        let usual = ArchiveLimits::default();
        let (zeros, noise) = (
            vec![0; 40 << 20],
            (0..200_000u32).map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()[3]).collect::<Vec<u8>>(),
        );
        let bomb_of_one = zipped(&[("a", &zeros)]);
        for (file, wanted) in [
            (b"hello".to_vec(), ""),
            (noise.clone(), ""),
            (zipped(&[("a", b"hello"), ("b", &noise)]), ""),
            (gzipped(&tarred(&[("a", b"hello"), ("b", &noise)])), ""),
            (
                zipped(&[
                    ("in.zip", &zipped(&[("a", &noise)])),
                    ("t.tgz", &gzipped(&tarred(&[("x", b"y")]))),
                ]),
                "",
            ),
            (bomb_of_one.clone(), "200 times its size"),
            (gzipped(&zeros), "200 times its size"),
            (zipped(&[("picture.jpg", &bomb_of_one)]), "200 times its size"),
            (gzipped(&tarred(&[("in.zip", &bomb_of_one)])), "200 times its size"),
            (gzipped(&gzipped(&gzipped(&zeros))), "200 times its size"),
            (bomb_of_one[..bomb_of_one.len() - 30].to_vec(), ""),
            (b"PK\x03\x04 nonsense".to_vec(), ""),
        ] {
            let found = words(&file, usual);
            assert!(
                if wanted.is_empty() { found.is_empty() } else { found.contains(wanted) },
                "{found:?}, not {wanted:?}"
            );
        }
        let few = ArchiveLimits { bytes: 300_000, ratio: 10_000, depth: 2, files: 3 };
        let four: Vec<(&str, &[u8])> = ["a", "b", "c", "d"].map(|name| (name, &b"x"[..])).to_vec();
        for (file, wanted) in [
            (zipped(&[("a", &noise)]), ""),
            (zipped(&[("a", &noise), ("b", &noise)]), "more than 300000 bytes"),
            (zipped(&four), "more than 3 files"),
            (gzipped(&tarred(&four)), "more than 3 files"),
            (zipped(&[("a", &zipped(&[("b", b"c")]))]), ""),
            (zipped(&[("a", &zipped(&[("b", &zipped(&[("c", b"d")]))]))]), "more than 2 deep"),
        ] {
            let found = words(&file, few);
            assert!(
                if wanted.is_empty() { found.is_empty() } else { found.contains(wanted) },
                "{found:?}, not {wanted:?}"
            );
        }
    }

    #[test]
    fn entries_that_share_their_bytes_count_each() {
        // As in the bombs of one kernel: many names for one content.
        let one = zipped(&[("a", &vec![7; 1 << 20])]);
        let list = memchr::memmem::find(&one, b"PK\x01\x02").unwrap();
        let end = memchr::memmem::find(&one, b"PK\x05\x06").unwrap();
        let (mut entry, mut many) = (one[list..end].to_vec(), one[..list].to_vec());
        for name in b'!'..=b'z' {
            // The name's first byte.
            entry[46] = name;
            many.extend_from_slice(&entry);
        }
        let count = u16::from(b'z' - b'!' + 1);
        let mut tail = one[end..].to_vec();
        tail[8..10].copy_from_slice(&count.to_le_bytes());
        tail[10..12].copy_from_slice(&count.to_le_bytes());
        tail[12..16].copy_from_slice(&(u32::from(count) * entry.len() as u32).to_le_bytes());
        many.extend_from_slice(&tail);
        let found =
            words(&many, ArchiveLimits { ratio: 50_000, bytes: 50 << 20, ..ArchiveLimits::default() });
        assert!(found.contains("more than 52428800 bytes"), "{found}");
    }

    #[test]
    fn headers_that_fill_the_memory_are_not_read() {
        let header = |kind: u8, size: u64| {
            let mut header = tar::Header::new_ustar();
            header.set_entry_type(tar::EntryType::new(kind));
            header.set_size(size);
            header.set_cksum();
            header.as_bytes().to_vec()
        };
        let loose = ArchiveLimits { ratio: 1_000_000, ..ArchiveLimits::default() };
        let zeros = vec![0; 64 << 20];
        for kind in [b'L', b'K', b'x'] {
            let packed = gzipped(&[&header(kind, 64 << 20)[..], &zeros].concat());
            let walk = Walk {
                limits: loose,
                packed: packed.len() as u64,
                unpacked: Cell::new(0),
                files: Cell::new(0),
                why: RefCell::new(None),
            };
            walk.stream(&mut &packed[..], 0);
            let why = walk.why.take().unwrap_or_default();
            assert!(why.contains("headers too long"), "{why}");
            assert!(walk.unpacked.get() < HEADERS + 128 * 1024, "{} bytes were read", walk.unpacked.get());
        }
        // Names as long as they come, and what is behind the end of an archive within.
        let mut tar = tar::Builder::new(Vec::new());
        for (name, content) in [
            ("a".repeat(4_000), vec![7; 3 << 20]),
            ("b".repeat(100_000), [gzipped(b"in it"), vec![0; 3 << 20]].concat()),
            ("c".to_owned(), b"last".to_vec()),
        ] {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            tar.append_data(&mut header, name, &content[..]).unwrap();
        }
        let whole = tar.into_inner().unwrap();
        assert_eq!(words(&whole, loose), "");
        assert!(words(&whole, ArchiveLimits { files: 2, ..loose }).contains("more than 2 files"));
    }
}
