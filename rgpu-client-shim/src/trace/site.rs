//! Call sites: the return addresses on the stack of a thread that waits, and the lines of Python that led there. Names
//! are looked up by whoever reads the recording.

use std::ffi::{c_int, c_void};
use std::io::{Read, Seek};
use std::os::fd::AsRawFd;
use std::sync::{Mutex, OnceLock};

use nix::sys::memfd::{MFdFlags, memfd_create};
use rgpu_trace::Note;
use rgpu_trace::record::Recording;

use crate::names::Hold;

/// Frames that are kept, the innermost.
const FRAMES: usize = 64;

/// Lines of Python that are kept.
const LINES: usize = 24;

/// Where a thread is.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Site {
    frames: Vec<u64>,
    python: Vec<String>,
}

// Of the unwinder that every program with C++ or Rust in it carries (Itanium C++ ABI, "Level I: Base ABI").
unsafe extern "C" {
    fn _Unwind_Backtrace(
        each: extern "C" fn(context: *mut c_void, frames: *mut c_void) -> c_int,
        frames: *mut c_void,
    ) -> c_int;
    fn _Unwind_GetIP(context: *mut c_void) -> usize;
}

extern "C" fn keep(context: *mut c_void, frames: *mut c_void) -> c_int {
    /// `_URC_NO_REASON` and `_URC_NORMAL_STOP`.
    const GO_ON: c_int = 0;
    const STOP: c_int = 4;
    // SAFETY: `here` passes a vector; the unwinder passes a context of its own.
    let (frames, at) = unsafe { (&mut *frames.cast::<Vec<u64>>(), _Unwind_GetIP(context)) };
    if frames.len() == FRAMES {
        return STOP;
    }
    frames.push(at as u64);
    GO_ON
}

impl Site {
    /// Where the calling thread is.
    pub(super) fn here() -> Self {
        let mut frames = Vec::with_capacity(FRAMES);
        // SAFETY: the callback takes the vector that is passed with it.
        unsafe { _Unwind_Backtrace(keep, (&raw mut frames).cast()) };
        Self {
            frames,
            python: python(),
        }
    }

    /// Notes it, and the files that its addresses lie in.
    pub(super) fn note(&self, recording: &Recording, number: u64) {
        if self.frames.iter().any(|at| !is_known(*at)) {
            note_modules(recording);
        }
        recording.note(&Note::Site {
            number,
            frames: self.frames.clone(),
            python: self.python.clone(),
        });
    }
}

/// Ranges that were noted.
static KNOWN: Mutex<Vec<(u64, u64)>> = Mutex::new(Vec::new());

fn is_known(at: u64) -> bool {
    let known = KNOWN.hold();
    known
        .iter()
        .any(|(start, end)| (*start..*end).contains(&at))
}

/// Notes the files that are mapped with execute permission and were not noted yet.
pub(super) fn note_modules(recording: &Recording) {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let mut known = KNOWN.hold();
    for module in maps.lines().filter_map(module) {
        if let Note::Module { start, end, .. } = module
            && !known.contains(&(start, end))
        {
            known.push((start, end));
            recording.note(&module);
        }
    }
}

/// A line of `/proc/self/maps`: `START-END PERMISSIONS OFFSET DEVICE INODE PATH`.
fn module(line: &str) -> Option<Note> {
    let mut words = line.splitn(6, ' ');
    let (start, end) = words.next()?.split_once('-')?;
    let permissions = words.next()?;
    let offset = words.next()?;
    let path = words.nth(2)?.trim_start();
    let number = |text| u64::from_str_radix(text, 16).ok();
    (permissions.contains('x') && path.starts_with('/')).then_some(Note::Module {
        start: number(start)?,
        end: number(end)?,
        offset: number(offset)?,
        path: path.to_owned(),
    })
}

/// What Python runs in this thread, the innermost first. The interpreter writes it for crashes (`faulthandler`), so
/// it needs no lock: most calls of CUDA come from threads that have given the interpreter's lock up for their time.
fn python() -> Vec<String> {
    struct Python {
        state: unsafe extern "C" fn() -> *mut c_void,
        dump: unsafe extern "C" fn(c_int, *mut c_void),
    }
    static PYTHON: OnceLock<Option<Python>> = OnceLock::new();
    let python = PYTHON.get_or_init(|| {
        // SAFETY: names of functions; the types are those of CPython 3.7 to 3.12, whose later versions do not export
        // the second.
        unsafe {
            let state = libc::dlsym(
                libc::RTLD_DEFAULT,
                c"PyGILState_GetThisThreadState".as_ptr(),
            );
            let dump = libc::dlsym(libc::RTLD_DEFAULT, c"_Py_DumpTraceback".as_ptr());
            (!state.is_null() && !dump.is_null()).then(|| Python {
                state: std::mem::transmute::<*mut c_void, unsafe extern "C" fn() -> *mut c_void>(
                    state,
                ),
                dump: std::mem::transmute::<*mut c_void, unsafe extern "C" fn(c_int, *mut c_void)>(
                    dump,
                ),
            })
        }
    });
    let Some(python) = python else {
        return Vec::new();
    };
    // SAFETY: it only looks at a variable of this thread, and gives null where Python does not know the thread.
    let state = unsafe { (python.state)() };
    if state.is_null() {
        return Vec::new();
    }
    let Ok(file) = memfd_create(c"rgpu-trace", MFdFlags::MFD_CLOEXEC) else {
        return Vec::new();
    };
    // SAFETY: the state is this thread's, whose stack does not change while it is here.
    unsafe { (python.dump)(file.as_raw_fd(), state) };
    let mut file = std::fs::File::from(file);
    let mut text = Vec::new();
    if file
        .rewind()
        .and_then(|()| file.read_to_end(&mut text))
        .is_err()
    {
        return Vec::new();
    }
    String::from_utf8_lossy(&text)
        .lines()
        .filter_map(python_line)
        .take(LINES)
        .collect()
}

/// `  File "x.py", line 3 in f` becomes `f (x.py:3)`.
fn python_line(line: &str) -> Option<String> {
    let (file, rest) = line
        .trim()
        .strip_prefix("File \"")?
        .rsplit_once("\", line ")?;
    let (number, function) = rest.split_once(" in ")?;
    Some(format!("{function} ({file}:{number})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_name_files_with_code() {
        let line = "7f12a000-7f12b000 r-xp 00002000 fe:01 1234        /usr/lib/my lib.so";
        let expected = Note::Module {
            start: 0x7f12_a000,
            end: 0x7f12_b000,
            offset: 0x2000,
            path: "/usr/lib/my lib.so".into(),
        };
        assert_eq!(module(line), Some(expected));
        assert_eq!(
            module("7f12a000-7f12b000 rw-p 00002000 fe:01 1234 /usr/lib/x.so"),
            None
        );
        assert_eq!(module("7f12a000-7f12b000 r-xp 00000000 00:00 0 "), None);
        assert_eq!(
            module("7f12a000-7f12b000 r-xp 00000000 00:00 0       [vdso]"),
            None
        );
    }

    #[test]
    fn lines_of_python_are_short() {
        assert_eq!(
            python_line("  File \"/a b/x.py\", line 3 in <module>").as_deref(),
            Some("<module> (/a b/x.py:3)")
        );
        assert_eq!(python_line("Stack (most recent call first):"), None);
    }

    #[test]
    fn a_site_holds_its_callers() {
        #[inline(never)]
        fn outer() -> Site {
            std::hint::black_box(Site::here())
        }
        let site = outer();
        let start = outer as *const () as u64;
        assert!(
            site.frames
                .iter()
                .any(|at| (start..start + 4096).contains(at)),
            "{site:?}"
        );
    }
}
