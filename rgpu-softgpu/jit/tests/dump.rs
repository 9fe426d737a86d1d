//! `RGPU_DUMP` in a process of its own, since it is read once.

use std::collections::BTreeMap;
use std::path::Path;

use rgpu_softgpu_jit::{ModuleMemory, Program};

/// The kernel calls a function, so that two are compiled.
const MODULE: &str = "
.version 8.0
.target sm_75
.address_size 64

.func (.param .b32 result) twice(.param .b32 x)
{
    .reg .b32 %r<3>;
    ld.param.b32 %r1, [x];
    add.s32 %r2, %r1, %r1;
    st.param.b32 [result], %r2;
    ret;
}

.visible .entry store_twice(.param .u64 out)
{
    .reg .b32 %r<2>;
    .reg .b64 %rd<2>;
    ld.param.u64 %rd1, [out];
    mov.u32 %r1, %tid.x;
    {
        .param .b32 x;
        .param .b32 result;
        st.param.b32 [x], %r1;
        call (result), twice, (x);
        ld.param.b32 %r1, [result];
    }
    st.global.u32 [%rd1], %r1;
    ret;
}

.visible .entry nothing()
{
    ret;
}
";

/// The module has no variables.
struct NoMemory;

impl ModuleMemory for NoMemory {
    fn alloc(&self, _size: u64, _align: u64, _is_const: bool) -> Result<u64, String> {
        Err("the module has no variables".to_owned())
    }

    fn write(&self, _address: u64, _bytes: &[u8]) -> Result<(), String> {
        Err("the module has no variables".to_owned())
    }
}

fn files(folder: &Path) -> BTreeMap<String, String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let text = |entry: std::fs::DirEntry| {
        let name = entry.file_name().into_string().unwrap();
        (name, std::fs::read_to_string(entry.path()).unwrap())
    };
    entries.map(|entry| text(entry.unwrap())).collect()
}

#[test]
fn each_stage_of_a_kernel_is_a_numbered_file() {
    let folder = std::env::temp_dir().join(format!("rgpu-dump-{}", std::process::id()));
    // SAFETY: this is the only test of the process, and nothing has read the environment yet.
    unsafe {
        std::env::set_var("RGPU_DUMP", "ptx,passes,clif,asm");
        std::env::set_var("RGPU_DUMP_DIR", &folder);
    }
    let program = Program::load(MODULE, &NoMemory).unwrap();
    program.compile("store_twice").unwrap();
    program.compile("nothing").unwrap();
    let files = files(&folder);
    std::fs::remove_dir_all(&folder).unwrap();

    let names: Vec<&str> = files.keys().map(String::as_str).collect();
    let of = |kernel: &str| -> Vec<&str> {
        let names = names.iter().filter_map(|name| name.strip_prefix(kernel));
        names.collect()
    };
    let first = of("0000-store_twice-");
    let numbers: Vec<String> = (0..first.len())
        .map(|number| format!("{number:02}-"))
        .collect();
    assert!(
        first
            .iter()
            .zip(&numbers)
            .all(|(name, number)| name.starts_with(number)),
        "{names:?}"
    );
    // Two functions, the code of each before and after code generation, and a file for the text and each pass.
    let count = |ending: &str| first.iter().filter(|name| name.ends_with(ending)).count();
    assert_eq!(
        (count(".ptx"), count(".clif"), count(".asm")),
        (1, 2, 2),
        "{names:?}"
    );
    assert_eq!(count(".txt"), first.len() - 5, "{names:?}");
    assert_eq!(first[0], "00-kernel.ptx");
    assert_eq!(first[1], "01-reach.txt");
    assert!(!of("0001-nothing-").is_empty(), "{names:?}");

    // A kernel's text is whole: all of it and nothing of its neighbours.
    let text = &files["0000-store_twice-00-kernel.ptx"];
    let text: Vec<&str> = text.split_whitespace().collect();
    let (_, from) = MODULE.split_once(".visible .entry store_twice").unwrap();
    let (whole, _) = from.split_once("\n\n.visible .entry nothing").unwrap();
    let whole = format!(".visible .entry store_twice{whole}");
    assert_eq!(text, whole.split_whitespace().collect::<Vec<_>>());
    for (name, text) in &files {
        assert!(!text.trim().is_empty(), "{name} is empty");
    }
    let with = |ending: &str| -> Vec<&String> {
        let files = files.iter().filter(|(name, _)| name.ends_with(ending));
        files.map(|(_, text)| text).collect()
    };
    assert!(
        with("twice.clif")
            .iter()
            .all(|text| text.contains("function u0:"))
    );
    assert!(with("twice.asm").iter().all(|text| text.contains("ret")));
}
