//! Against real output of `nvcc` 13 (`testdata/`), and against damaged bytes.

use proptest::prelude::*;

use crate::host;
use crate::{
    Builder, Capability, Error, Fatbin, Flags, ImageKind, Kind, Sass, cubin_arch, cubin_size, sniff,
};

const ZSTD_ALL: &[u8] = include_bytes!("../testdata/zstd_all.fatbin");
const ZSTD_PTX: &[u8] = include_bytes!("../testdata/zstd_ptx.fatbin");
const LZ4_PTX: &[u8] = include_bytes!("../testdata/lz4_ptx.fatbin");
const PLAIN: &[u8] = include_bytes!("../testdata/plain.fatbin");
const SPECIAL: &[u8] = include_bytes!("../testdata/special.fatbin");
const CUBIN: &[u8] = include_bytes!("../testdata/sm_75.cubin");
const RELOCATABLE: &[u8] = include_bytes!("../testdata/relocatable.o");
const LIBRARY: &[u8] = include_bytes!("../testdata/library.a");
const PTX: &[u8] = include_bytes!("../testdata/tiny.ptx");
const CONTAINERS: [&[u8]; 5] = [ZSTD_ALL, ZSTD_PTX, LZ4_PTX, PLAIN, SPECIAL];

const HOPPER: Capability = Capability::new(9, 0);

fn images(bytes: &[u8]) -> Vec<(Kind, u32)> {
    let fatbin = Fatbin::parse(bytes).unwrap();
    fatbin
        .entries()
        .iter()
        .map(|entry| (entry.kind(), entry.arch()))
        .collect()
}

#[test]
fn lists_every_image() {
    assert_eq!(
        images(ZSTD_ALL),
        [
            (Kind::ELF, 75),
            (Kind::PTX, 80),
            (Kind::ELF, 90),
            (Kind::PTX, 90)
        ]
    );
    assert_eq!(images(LZ4_PTX), [(Kind::PTX, 75), (Kind::PTX, 90)]);
    assert_eq!(images(PLAIN), [(Kind::ELF, 75), (Kind::PTX, 75)]);
    assert_eq!(
        images(SPECIAL),
        [
            (Kind::ELF, 90),
            (Kind::PTX, 90),
            (Kind::ELF, 100),
            (Kind::PTX, 100),
            (Kind::LTO_IR, 80)
        ]
    );
}

#[test]
fn unpacks_ptx_stored_in_every_way() {
    for bytes in CONTAINERS {
        let fatbin = Fatbin::parse(bytes).unwrap();
        let texts = fatbin.entries().iter().filter(|e| e.kind() == Kind::PTX);
        let mut count = 0;
        for entry in texts {
            let text = entry.ptx().unwrap();
            let target = format!(".target sm_{}", entry.arch());
            assert!(text.contains(&target), "{text}");
            assert!(text.contains(".entry bump("), "{text}");
            assert!(!text.contains('\0'));
            assert_eq!(entry.version(), (9, 0));
            count += 1;
        }
        assert!(count > 0);
    }
}

#[test]
fn unpacks_machine_code_stored_in_both_ways() {
    let plain = Fatbin::parse(PLAIN).unwrap();
    let packed = Fatbin::parse(ZSTD_ALL).unwrap();
    let (plain, packed) = (plain.entries()[0], packed.entries()[0]);
    assert!(!plain.is_compressed() && packed.is_compressed());
    assert_eq!(plain.image().unwrap(), packed.image().unwrap());
    assert_eq!(plain.image().unwrap(), CUBIN);
    assert!(plain.ptx().is_err());
}

#[test]
fn reads_the_identifier_and_the_options() {
    let fatbin = Fatbin::parse(ZSTD_PTX).unwrap();
    for entry in fatbin.entries() {
        assert_eq!(entry.identifier(), Some("tiny.cu"));
        assert_eq!(entry.options(), Some("--generate-line-info"));
    }
    for entry in Fatbin::parse(ZSTD_ALL).unwrap().entries() {
        assert_eq!((entry.identifier(), entry.options()), (None, None));
    }
    let special = Fatbin::parse(SPECIAL).unwrap();
    assert_eq!(
        special.entries()[4].options(),
        Some("-ftz=0 -prec_div=1 -prec_sqrt=1 -fmad=1")
    );
}

#[test]
fn selects_the_highest_ptx_up_to_the_device() {
    let fatbin = Fatbin::parse(ZSTD_ALL).unwrap();
    let pick = |arch| {
        fatbin
            .select_ptx(Capability::from_arch(arch))
            .map(|entry| entry.arch())
    };
    assert_eq!(pick(75), None);
    assert_eq!(pick(80), Some(80));
    assert_eq!(pick(89), Some(80));
    assert_eq!(pick(90), Some(90));
    assert_eq!(pick(120), Some(90));
}

#[test]
fn selects_machine_code_within_the_major_version() {
    let fatbin = Fatbin::parse(ZSTD_ALL).unwrap();
    let pick = |arch| {
        fatbin
            .select_elf(Capability::from_arch(arch))
            .map(|entry| entry.arch())
    };
    assert_eq!(pick(72), None);
    assert_eq!(pick(75), Some(75));
    assert_eq!(pick(86), None);
    assert_eq!(pick(90), Some(90));
    assert_eq!(pick(100), None);
}

#[test]
fn a_suffix_pins_the_architecture_or_the_family() {
    let fatbin = Fatbin::parse(SPECIAL).unwrap();
    let pick = |arch| {
        let device = Capability::from_arch(arch);
        let arch = |entry: &crate::Entry<'_>| entry.arch();
        (
            fatbin.select_ptx(device).map(arch),
            fatbin.select_elf(device).map(arch),
        )
    };
    assert_eq!(pick(80), (None, None));
    assert_eq!(pick(90), (Some(90), Some(90)));
    assert_eq!(pick(100), (Some(100), Some(100)));
    assert_eq!(pick(103), (Some(100), Some(100)));
    assert_eq!(pick(120), (None, None));
}

#[test]
fn the_portable_text_comes_before_the_suffixed_one() {
    let mut builder = Builder::new();
    builder.push_image(Kind::PTX, 90, Flags::ARCH_SPECIFIC, b"special");
    builder.push_ptx(90, b"portable");
    builder.push_ptx(90, b"portable too");
    let bytes = builder.finish();
    let fatbin = Fatbin::parse(&bytes).unwrap();
    let all: Vec<String> = fatbin
        .select_all_ptx(HOPPER)
        .iter()
        .map(|entry| entry.ptx().unwrap())
        .collect();
    assert_eq!(all, ["portable", "portable too"]);
    assert!(
        fatbin
            .select_ptx(HOPPER)
            .unwrap()
            .ptx()
            .unwrap()
            .starts_with("portable")
    );
}

#[test]
fn trims_to_what_the_device_uses() {
    let fatbin = Fatbin::parse(ZSTD_ALL).unwrap();
    let trimmed = |arch, sass| {
        let bytes = fatbin.trim(Capability::from_arch(arch), sass)?;
        assert!(bytes.len() < ZSTD_ALL.len());
        Ok::<_, Error>(images(&bytes))
    };
    assert_eq!(trimmed(90, Sass::Rejected), Ok(vec![(Kind::PTX, 90)]));
    assert_eq!(
        trimmed(90, Sass::Accepted),
        Ok(vec![(Kind::ELF, 90), (Kind::PTX, 90)])
    );
    assert_eq!(trimmed(86, Sass::Accepted), Ok(vec![(Kind::PTX, 80)]));
    assert_eq!(trimmed(75, Sass::Accepted), Ok(vec![(Kind::ELF, 75)]));
    // Its only PTX is for later devices.
    assert_eq!(trimmed(75, Sass::Rejected), Ok(vec![(Kind::PTX, 80)]));
}

#[test]
fn a_device_that_runs_ptx_only_takes_that_of_the_next_architecture() {
    let mut builder = Builder::new();
    builder.push_image(Kind::ELF, 90, Flags(0), b"\x7fELF");
    builder.push_ptx(120, b"later still");
    builder.push_image(Kind::PTX, 100, Flags::ARCH_SPECIFIC, b"special");
    builder.push_ptx(100, b"later");
    builder.push_ptx(100, b"later too");
    let bytes = builder.finish();
    let fatbin = Fatbin::parse(&bytes).unwrap();
    let texts: Vec<String> = fatbin
        .nearest_all_ptx(HOPPER)
        .iter()
        .map(|entry| entry.ptx().unwrap())
        .collect();
    assert_eq!(texts, ["later", "later too"]);
    assert!(fatbin.select_ptx(HOPPER).is_none());
    let trimmed = |sass| fatbin.trim(HOPPER, sass).map(|bytes| images(&bytes));
    assert_eq!(trimmed(Sass::Accepted), Ok(vec![(Kind::ELF, 90)]));
    assert_eq!(
        trimmed(Sass::Rejected),
        Ok(vec![(Kind::PTX, 100), (Kind::PTX, 100)])
    );
    // What the device admits comes first.
    let both = Fatbin::parse(ZSTD_ALL).unwrap();
    assert_eq!(both.nearest_ptx(HOPPER).map(|entry| entry.arch()), Some(90));
}

#[test]
fn machine_code_alone_is_nothing_for_a_device_that_runs_ptx_only() {
    let mut builder = Builder::new();
    builder.push_image(Kind::ELF, 90, Flags(0), b"\x7fELF");
    let bytes = builder.finish();
    assert_eq!(
        Fatbin::parse(&bytes).unwrap().trim(HOPPER, Sass::Rejected),
        Err(Error::NoImage(HOPPER))
    );
}

#[test]
fn trimming_copies_images_as_stored() {
    for bytes in CONTAINERS {
        let whole = Fatbin::parse(bytes).unwrap();
        let trimmed = whole.trim(HOPPER, Sass::Rejected).unwrap();
        let trimmed = Fatbin::parse(&trimmed).unwrap();
        let entry = trimmed.entries()[0];
        let original = whole.select_ptx(HOPPER).unwrap();
        assert_eq!(entry.bytes(), original.bytes());
        assert_eq!(entry.ptx(), original.ptx());
    }
}

#[test]
fn ignores_what_follows_and_refuses_what_is_cut() {
    let mut longer = PLAIN.to_vec();
    longer.extend_from_slice(&[0x55; 33]);
    assert_eq!(Fatbin::parse(&longer).unwrap().bytes(), PLAIN);
    for len in 0..PLAIN.len() {
        assert!(Fatbin::parse(&PLAIN[..len]).is_err(), "{len}");
    }
}

#[test]
fn a_header_that_lies_about_sizes_is_an_error() {
    let lie = |at: usize, value: u64| {
        let mut bytes = LZ4_PTX.to_vec();
        bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
        bytes
    };
    // The container's size.
    assert!(matches!(
        Fatbin::parse(&lie(8, u64::MAX)),
        Err(Error::TooLarge { .. })
    ));
    // The first entry's payload size.
    assert!(Fatbin::parse(&lie(16 + 8, u64::MAX)).is_err());
    // What it unpacks to.
    for declared in [0, 1, 367, 369, 298 * 255 + 1, 1 << 40, u64::MAX] {
        let bytes = lie(16 + 56, declared);
        let entry = Fatbin::parse(&bytes).unwrap().entries()[0];
        assert!(entry.image().is_err(), "{declared}");
    }
    let mut zstd = ZSTD_PTX.to_vec();
    for declared in [0u64, 419, 421, 1 << 28, u64::MAX] {
        zstd[16 + 56..16 + 64].copy_from_slice(&declared.to_le_bytes());
        let entry = Fatbin::parse(&zstd).unwrap().entries()[0];
        assert!(entry.image().is_err(), "{declared}");
    }
}

#[test]
fn measures_and_reads_a_cubin() {
    assert_eq!(cubin_size(CUBIN), Ok(CUBIN.len()));
    assert_eq!(cubin_arch(CUBIN), Ok(75));
    for bytes in CONTAINERS {
        for entry in Fatbin::parse(bytes).unwrap().entries() {
            if entry.kind() == Kind::ELF {
                let image = entry.image().unwrap();
                assert_eq!(cubin_size(&image), Ok(image.len()));
                assert_eq!(cubin_arch(&image), Ok(entry.arch()));
            }
        }
    }
    assert!(cubin_size(&CUBIN[..CUBIN.len() - 1]).is_err());
    assert!(cubin_size(PTX).is_err());
}

#[test]
fn tells_images_apart() {
    assert_eq!(sniff(PLAIN), Some(ImageKind::Fatbin));
    assert_eq!(sniff(CUBIN), Some(ImageKind::Elf));
    assert_eq!(sniff(PTX), Some(ImageKind::Ptx));
    assert_eq!(
        sniff(&0x4662_43B1_u32.to_le_bytes()),
        Some(ImageKind::Wrapper)
    );
    assert_eq!(sniff(b""), None);
    assert_eq!(sniff(&[0; 8]), None);
    assert_eq!(sniff(&[0x1f, 0x8b, 8, 0]), None);
}

#[test]
fn finds_what_a_host_object_holds() {
    let containers = host::containers(RELOCATABLE).unwrap();
    assert_eq!(containers.len(), 1);
    let fatbin = Fatbin::parse(containers[0]).unwrap();
    let ptx = fatbin.select_ptx(HOPPER).unwrap();
    assert_eq!(ptx.arch(), 75);
    assert!(ptx.ptx().unwrap().contains(".entry bump"));
    assert_eq!(fatbin.select_elf(HOPPER).unwrap().arch(), 90);

    let members = host::members(LIBRARY).unwrap();
    let name = "relocatable.o".to_owned();
    assert_eq!(members, [host::Member { name, containers }]);
    assert!(host::containers(LIBRARY).is_err());
    assert!(host::members(RELOCATABLE).is_err());
}

/// Everything that a caller may do with bytes of unknown origin.
fn use_all(bytes: &[u8]) {
    let _ = sniff(bytes);
    let _ = cubin_arch(bytes);
    if let Ok(size) = cubin_size(bytes) {
        assert!(size <= bytes.len());
    }
    let _ = host::containers(bytes);
    let _ = host::members(bytes);
    let Ok(fatbin) = Fatbin::parse(bytes) else {
        return;
    };
    for entry in fatbin.entries() {
        let _ = (entry.identifier(), entry.options(), entry.version());
        let _ = entry.image();
        let _ = entry.ptx();
        let _ = format!("{entry:?}");
    }
    for sass in [Sass::Accepted, Sass::Rejected] {
        if let Ok(trimmed) = fatbin.trim(HOPPER, sass) {
            assert!(Fatbin::parse(&trimmed).is_ok());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn damaged_images_never_panic(
        which in 0usize..8,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        cut in any::<prop::sample::Index>(),
        headers_only in any::<bool>(),
    ) {
        let all = [ZSTD_ALL, ZSTD_PTX, LZ4_PTX, PLAIN, SPECIAL, CUBIN, RELOCATABLE, LIBRARY];
        let source = all[which];
        let mut bytes = source.to_vec();
        // Damage near the front hits the headers more often.
        let span = if headers_only { bytes.len().min(128) } else { bytes.len() };
        for (at, value) in damage {
            bytes[at.index(span)] = value;
        }
        use_all(&bytes);
        bytes.truncate(cut.index(source.len() + 1));
        use_all(&bytes);
    }

    #[test]
    fn arbitrary_bodies_never_panic(body in prop::collection::vec(any::<u8>(), 0..400)) {
        use_all(&body);
        let mut builder = Builder::new();
        builder.push_image(Kind(2), 90, Flags(0), &body);
        builder.push_image(Kind::PTX, 90, Flags::COMPRESSED_LZ4, &body);
        builder.push_image(Kind::PTX, 90, Flags::COMPRESSED_ZSTD, &body);
        use_all(&builder.finish());
    }
}
