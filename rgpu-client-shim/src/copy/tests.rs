//! Copies against a device memory of one range.

use super::*;

/// [0x1000, 0x2000) is allocated in a window [0, 0x10000).
struct OneRange;

impl Lookup for OneRange {
    fn device_range(&self, address: u64) -> Option<(u64, u64)> {
        (0x1000..0x2000)
            .contains(&address)
            .then_some((0x1000, 0x2000))
    }

    fn could_be_device(&self, address: u64) -> bool {
        address < 0x10000
    }
}

const HOST: u64 = 0x7f00_0000_0000;

fn linear(dst: u64, src: u64, len: usize) -> Result<Plan, Status> {
    plan(
        Operand::linear(Place::Unified, dst),
        Operand::linear(Place::Unified, src),
        Shape::linear(len),
        &OneRange,
    )
}

#[test]
fn addresses_tell_the_direction() {
    assert!(matches!(linear(0x1000, HOST, 16), Ok(Plan::In { .. })));
    assert!(matches!(linear(HOST, 0x1ff0, 16), Ok(Plan::Out { .. })));
    assert!(matches!(
        linear(0x1000, 0x1800, 16),
        Ok(Plan::Device { .. })
    ));
    assert!(matches!(linear(HOST, HOST + 64, 16), Ok(Plan::Host { .. })));
    assert_eq!(linear(0, 0, 0), Ok(Plan::Nothing));
}

#[test]
fn a_copy_outside_its_allocation_is_refused() {
    for (dst, src, len) in [
        (0x1000, HOST, 0x1001),
        (0x1fff, HOST, 2),
        (0x3000, HOST, 1),
        (HOST, 0xfff, 1),
        (0, HOST, 1),
        (0x1000, 0, 1),
    ] {
        assert_eq!(
            linear(dst, src, len),
            Err(Status::ERROR_INVALID_VALUE),
            "{dst:x} {src:x}"
        );
    }
    let huge = plan(
        Operand::linear(Place::Device, 0x1000),
        Operand::linear(Place::Host, HOST),
        Shape {
            width: usize::MAX,
            height: 2,
            depth: 1,
        },
        &OneRange,
    );
    assert_eq!(huge, Err(Status::ERROR_INVALID_VALUE));
}

#[test]
fn a_declared_place_must_be_right() {
    let from = |place, address| {
        plan(
            Operand::linear(Place::Device, 0x1000),
            Operand::linear(place, address),
            Shape::linear(8),
            &OneRange,
        )
    };
    assert_eq!(from(Place::Host, 0x1800), Err(Status::ERROR_INVALID_VALUE));
    assert_eq!(from(Place::Device, HOST), Err(Status::ERROR_INVALID_VALUE));
    assert_eq!(Place::of(3), Err(Status::ERROR_NOT_SUPPORTED));
    assert_eq!(Place::of(9), Err(Status::ERROR_INVALID_VALUE));
}

#[test]
fn rows_with_gaps_stay_rows_and_rows_without_become_one() {
    let dst = Operand {
        origin: (4, 2, 0),
        pitch: 64,
        ..Operand::linear(Place::Device, 0x1000)
    };
    let src = Operand {
        pitch: 100,
        ..Operand::linear(Place::Host, HOST)
    };
    let shape = Shape {
        width: 32,
        height: 5,
        depth: 1,
    };
    let Ok(Plan::In { dst, extent, src }) = plan(dst, src, shape, &OneRange) else {
        panic!("not a copy to the device");
    };
    assert_eq!((dst.address, dst.pitch), (0x1000 + 2 * 64 + 4, 64));
    assert_eq!((extent.width, extent.height), (32, 5));
    assert_eq!((src.at, src.pitch, src.len()), (HOST as usize, 100, 160));

    let dst = Operand {
        pitch: 32,
        ..Operand::linear(Place::Device, 0x1000)
    };
    let src = Operand::linear(Place::Host, HOST);
    let Ok(Plan::In { extent, .. }) = plan(dst, src, shape, &OneRange) else {
        panic!("not a copy to the device");
    };
    assert_eq!(extent, Extent::linear(160));
}

#[test]
fn a_pitch_shorter_than_the_row_is_refused() {
    let dst = Operand {
        pitch: 16,
        ..Operand::linear(Place::Device, 0x1000)
    };
    let src = Operand::linear(Place::Host, HOST);
    let shape = Shape {
        width: 32,
        height: 2,
        depth: 1,
    };
    assert_eq!(
        plan(dst, src, shape, &OneRange),
        Err(Status::ERROR_INVALID_VALUE)
    );
    let shape = Shape { height: 1, ..shape };
    assert!(plan(dst, src, shape, &OneRange).is_ok());
}

#[test]
fn slices_are_counted_in_rows() {
    let src = Operand {
        origin: (0, 1, 1),
        pitch: 16,
        rows: 4,
        ..Operand::linear(Place::Device, 0x1000)
    };
    let dst = Operand::linear(Place::Host, HOST);
    let shape = Shape {
        width: 8,
        height: 2,
        depth: 3,
    };
    let Ok(Plan::Out { src, extent, .. }) = plan(dst, src, shape, &OneRange) else {
        panic!("not a copy to the host");
    };
    assert_eq!(
        (src.address, src.pitch, src.slice),
        (0x1000 + 64 + 16, 16, 64)
    );
    assert_eq!(
        extent,
        Extent {
            width: 8,
            height: 2,
            depth: 3
        }
    );
}

#[test]
fn fills_are_checked() {
    let try_fill = |dst, pitch, element, size| fill(dst, pitch, (7, element), size, 1, &OneRange);
    let one = try_fill(0x1000, 0, Element::Word, (16, 1))
        .unwrap()
        .unwrap();
    assert_eq!((one.width, one.height, one.stream.0), (16, 1, 1));
    let packed = try_fill(0x1000, 8, Element::Short, (4, 3))
        .unwrap()
        .unwrap();
    assert_eq!((packed.width, packed.height), (12, 1));
    let rows = try_fill(0x1000, 16, Element::Byte, (4, 3))
        .unwrap()
        .unwrap();
    assert_eq!((rows.width, rows.height, rows.pitch), (4, 3, 16));
    assert_eq!(try_fill(0x1000, 0, Element::Byte, (0, 1)), Ok(None));
    for (dst, pitch, element, size) in [
        (0x1002, 0, Element::Word, (1, 1)),
        (0x1001, 0, Element::Short, (1, 1)),
        (0x1000, 0, Element::Word, (1025, 1)),
        (0x1000, 2, Element::Byte, (4, 2)),
        (0x9000, 0, Element::Byte, (1, 1)),
    ] {
        assert_eq!(
            try_fill(dst, pitch, element, size),
            Err(Status::ERROR_INVALID_VALUE)
        );
    }
}
