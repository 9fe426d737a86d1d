//! Fat binaries and what they hold.

use rgpu_fatbin::{Capability, Fatbin, Kind, Sass, cubin_arch, cubin_size, host, sniff};

/// Images that claim to unpack to more are not unpacked here: it works, and is slow.
const LARGEST: usize = 1 << 20;

/// Reads a container, its images, and what is left of it after trimming; or a host's object or library.
pub fn fatbin(data: &[u8]) {
    sniff(data);
    if let Ok(size) = cubin_size(data) {
        assert!(size <= data.len());
        cubin_arch(data).expect("a cubin that has a size has an architecture");
    }
    let members = host::members(data).unwrap_or_default();
    let members = members.into_iter().flat_map(|member| member.containers);
    for container in members.chain(host::containers(data).unwrap_or_default()) {
        // Its header is right, but what it holds may not be.
        let _ = Fatbin::parse(container);
    }
    let Ok(fatbin) = Fatbin::parse(data) else {
        return;
    };
    let stored: usize = fatbin
        .entries()
        .iter()
        .map(|entry| entry.bytes().len())
        .sum();
    assert!(stored <= fatbin.bytes().len());
    for entry in fatbin.entries() {
        entry.identifier();
        entry.options();
        if declared_size(entry) <= LARGEST as u64 {
            check_image(entry);
        }
    }
    let device = Capability::new(9, 0);
    for sass in [Sass::Accepted, Sass::Rejected] {
        let Ok(trimmed) = fatbin.trim(device, sass) else {
            continue;
        };
        let trimmed = Fatbin::parse(&trimmed).expect("what we build, we read");
        assert!(trimmed.entries().len() <= fatbin.entries().len());
        let best = match sass {
            Sass::Accepted => fatbin.select_ptx(device),
            Sass::Rejected => fatbin.nearest_ptx(device),
        };
        assert_eq!(
            trimmed.nearest_ptx(device).map(rgpu_fatbin::Entry::bytes),
            best.map(rgpu_fatbin::Entry::bytes),
            "trimming keeps the best PTX"
        );
    }
}

fn check_image(entry: &rgpu_fatbin::Entry<'_>) {
    if let Ok(image) = entry.image() {
        assert!(!entry.is_compressed() || image.len() <= LARGEST);
        if entry.kind() == Kind::PTX {
            entry.ptx().expect("an image that unpacks has a text");
        }
    }
}

/// What the entry's header says of the size once unpacked.
fn declared_size(entry: &rgpu_fatbin::Entry<'_>) -> u64 {
    let field = entry.bytes().get(56..).and_then(<[u8]>::first_chunk);
    field.map_or(0, |bytes| u64::from_le_bytes(*bytes))
}
