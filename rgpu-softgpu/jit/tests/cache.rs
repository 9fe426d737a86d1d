//! Compiled kernels that are kept on disk: found by the next process, right wherever variables lie, and never trusted.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use rgpu_softgpu_jit::{Cache, Counts, Program};
use support::{Shape, TestDevice};

/// Reaches all that a kernel may refer to: variables, functions by name and by pointer, host functions.
const TEXT: &str = r"
.version 8.0
.target sm_80
.address_size 64

.global .align 4 .u32 numbers[4] = {3, 5, 7, 11};
.global .align 4 .u32 launches;

.func (.param .b32 result) twice (.param .b32 of)
{
    .reg .b32 %r<3>;
    ld.param.u32 %r1, [of];
    add.u32 %r2, %r1, %r1;
    st.param.b32 [result], %r2;
    ret;
}

.visible .entry k (.param .u64 out)
{
    .reg .b32 %r<10>;
    .reg .b64 %rd<5>;
    .reg .f32 %f<3>;
    .param .b32 given;
    .param .b32 got;
    prototype: .callprototype (.param .b32 _) _ (.param .b32 _);

    ld.global.u32 %r1, [numbers+8];
    st.param.b32 [given], %r1;
    call (got), twice, (given);
    ld.param.b32 %r2, [got];

    mov.u64 %rd1, twice;
    st.param.b32 [given], %r2;
    call (got), %rd1, (given), prototype;
    ld.param.b32 %r3, [got];

    mov.u64 %rd2, numbers;
    ld.global.u32 %r4, [%rd2+12];
    add.u32 %r5, %r3, %r4;

    cvt.rn.f32.u32 %f1, %r5;
    sqrt.rz.f32 %f2, %f1;
    cvt.rzi.u32.f32 %r6, %f2;

    atom.global.add.u32 %r7, [launches], 1;
    mad.lo.u32 %r8, %r7, 100, %r6;
    ld.param.u64 %rd3, [out];
    st.global.u32 [%rd3], %r8;
    ret;
}

.visible .entry other (.param .u64 out)
{
    ret;
}
";

/// What the launches of a program give: ⌊√(2·2·7 + 11)⌋, and 100 times how often it was launched before.
const EXPECTED: [u32; 3] = [6, 106, 206];

fn cached(cache: &Arc<Cache>) -> Program {
    let program = Program::load(TEXT, &TestDevice::get()).unwrap();
    program.cached_in(Some(Arc::clone(cache)))
}

fn launch(program: &Program) -> u32 {
    let device = TestDevice::get();
    let out = device.upload(&[0; 4]);
    let once = Shape {
        grid: [1; 3],
        block: [1; 3],
        ..Shape::default()
    };
    let (result, _) = device.launch(program, "k", &once, &out.to_le_bytes(), true);
    result.unwrap();
    let bytes = device.download(out, 4);
    device.free(out);
    u32::from_le_bytes(bytes.try_into().unwrap())
}

fn counts(compiled: usize, cached: usize) -> Counts {
    Counts { compiled, cached }
}

fn open(folder: &Path) -> Arc<Cache> {
    Arc::new(Cache::open(folder, 1 << 30).unwrap())
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// A folder in which only kernel `k` is kept, and its file.
fn with_one_kernel() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    // What a process makes once, it makes now.
    Program::load(TEXT, &TestDevice::get())
        .unwrap()
        .compile("k")
        .unwrap();
    cached(&open(folder.path())).compile("k").unwrap();
    let [file] = &files(folder.path())[..] else {
        panic!("one kernel, one file: {:?}", files(folder.path()));
    };
    let file = file.clone();
    (folder, file)
}

const FOLDER: &str = "RGPU_TEST_CACHE";

/// Runs `child` below in a process of its own.
fn spawn(folder: &Path) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "child", "--ignored", "--nocapture"])
        .env(FOLDER, folder);
    command.stdout(Stdio::piped()).spawn().unwrap()
}

fn said(child: Child) -> String {
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let line = text.lines().find(|line| line.contains("compiled:"));
    line.unwrap_or_else(|| panic!("{text}")).to_owned()
}

#[test]
#[ignore = "is run by the tests below"]
fn child() {
    let program = cached(&open(Path::new(&std::env::var_os(FOLDER).unwrap())));
    let value = launch(&program);
    println!("\n{value} {:?}", program.counts());
}

#[test]
fn a_second_process_compiles_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let first = said(spawn(folder.path()));
    assert_eq!(first, "6 Counts { compiled: 1, cached: 0 }");
    let kept = files(folder.path());
    let stamps = || {
        kept.iter()
            .map(|file| fs::metadata(file).unwrap().modified().unwrap())
    };
    let written: Vec<_> = stamps().collect();
    // The kernel, and the way into the host that all kernels share.
    assert_eq!(kept.len(), 2);
    let second = said(spawn(folder.path()));
    assert_eq!(second, "6 Counts { compiled: 0, cached: 1 }");
    assert_eq!(files(folder.path()), kept);
    assert!(stamps().eq(written), "nothing was written again");
}

#[test]
fn processes_that_write_at_once_do_not_disturb_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let children: Vec<_> = (0..6).map(|_| spawn(folder.path())).collect();
    for child in children {
        assert!(said(child).starts_with("6 "));
    }
    assert_eq!(files(folder.path()).len(), 2, "{:?}", files(folder.path()));
    assert_eq!(
        said(spawn(folder.path())),
        "6 Counts { compiled: 0, cached: 1 }"
    );
}

#[test]
fn variables_may_lie_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let cache = open(folder.path());
    let (first, second) = (cached(&cache), cached(&cache));
    assert_ne!(first.global("numbers"), second.global("numbers"));
    for expected in EXPECTED {
        assert_eq!(launch(&first), expected);
    }
    assert_eq!(launch(&second), EXPECTED[0]);
    assert_eq!(
        (first.counts(), second.counts()),
        (counts(1, 0), counts(0, 1))
    );
    assert_eq!(launch(&first), 306);
}

#[test]
fn other_text_is_another_kernel() {
    let folder = tempfile::tempdir().unwrap();
    let cache = open(folder.path());
    cached(&cache).compile("k").unwrap();
    let text = TEXT.replace("{3, 5, 7, 11}", "{3, 5, 7, 36}");
    let changed = Program::load(&text, &TestDevice::get()).unwrap();
    let changed = changed.cached_in(Some(Arc::clone(&cache)));
    // ⌊√(28 + 36)⌋
    assert_eq!(launch(&changed), 8);
    assert_eq!(changed.counts(), counts(1, 0));
}

#[test]
fn damaged_files_are_written_again() {
    let (folder, file) = with_one_kernel();
    let good = fs::read(&file).unwrap();
    let mut damaged = vec![Vec::new(), vec![0; good.len()], b"rgpukrn\x01".to_vec()];
    damaged.extend((1..8).map(|n| good[..good.len() * n / 8].to_vec()));
    for at in [
        0,
        7,
        8,
        39,
        40,
        71,
        72,
        73,
        80,
        good.len() / 2,
        good.len() - 1,
    ] {
        let mut bytes = good.clone();
        bytes[at] ^= 0x10;
        damaged.push(bytes);
    }
    damaged.push([&good[..], b"more"].concat());
    for bytes in damaged {
        fs::write(&file, &bytes).unwrap();
        let program = cached(&open(folder.path()));
        assert_eq!(launch(&program), EXPECTED[0]);
        assert_eq!(program.counts(), counts(1, 0));
        assert_eq!(fs::read(&file).unwrap(), good);
    }
}

#[test]
fn a_file_of_another_kernel_is_not_taken() {
    let (folder, file) = with_one_kernel();
    cached(&open(folder.path())).compile("other").unwrap();
    let other = files(folder.path()).into_iter().find(|path| *path != file);
    fs::copy(other.unwrap(), &file).unwrap();
    let program = cached(&open(folder.path()));
    assert_eq!(launch(&program), EXPECTED[0]);
    assert_eq!(program.counts(), counts(1, 0));
}

#[test]
fn files_that_others_may_write_are_not_taken() {
    let (folder, file) = with_one_kernel();
    let mut permissions = fs::metadata(&file).unwrap().permissions();
    assert_eq!(permissions.mode() & 0o777, 0o600);
    permissions.set_mode(0o620);
    fs::set_permissions(&file, permissions).unwrap();
    let program = cached(&open(folder.path()));
    program.compile("k").unwrap();
    assert_eq!(program.counts(), counts(1, 0));

    let elsewhere = tempfile::tempdir().unwrap();
    let target = elsewhere.path().join("target");
    fs::rename(&file, &target).unwrap();
    std::os::unix::fs::symlink(&target, &file).unwrap();
    let program = cached(&open(folder.path()));
    program.compile("k").unwrap();
    assert_eq!(program.counts(), counts(1, 0));
    assert!(!fs::symlink_metadata(&file).unwrap().is_symlink());
}

#[test]
fn a_folder_that_others_may_write_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for mode in [0o777, 0o1777, 0o720] {
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
        let error = Cache::open(folder.path(), 1 << 20).unwrap_err();
        assert!(error.contains("nobody else"), "{error}");
    }
    let made = folder.path().join("a/b");
    Cache::open(&made, 1 << 20).unwrap();
    assert_eq!(
        fs::metadata(made).unwrap().permissions().mode() & 0o777,
        0o700
    );
}

#[test]
fn what_a_kernel_needs_is_known_without_its_code() {
    let program = Program::load(TEXT, &TestDevice::get()).unwrap();
    let needs = program.needs("k").unwrap();
    assert_eq!(
        program.counts(),
        Counts {
            compiled: 0,
            cached: 0
        }
    );
    let kernel = program.compile("k").unwrap();
    assert_eq!(needs.local_size, u64::from(kernel.local_size));
    assert_eq!(needs.static_shared, u64::from(kernel.static_shared));
    // %rd3 and %r8 where the result is written.
    assert!((3..=8).contains(&needs.live_words));
    assert!(program.needs("twice").is_err(), "no kernel");
}
