//! C's `printf`, one conversion at a time; numbers are left to the C library.

use std::ffi::CString;

/// Widest field, and most digits, that are honoured: what a kernel prints cannot exhaust the host.
const MOST: u32 = 1 << 16;

/// Where the arguments come from. `None` where there are no more.
pub(super) trait Arguments {
    /// The next 4 bytes.
    fn int(&mut self) -> Option<u32>;
    /// The next 8 bytes, aligned.
    fn long(&mut self) -> Option<u64>;
    /// The string at an address.
    fn string(&mut self, address: u64) -> Option<Vec<u8>>;
}

/// One `%…` of a format.
#[derive(Debug, Default, PartialEq, Eq)]
struct Conversion {
    flags: Vec<u8>,
    width: Option<u32>,
    precision: Option<u32>,
    /// The argument takes 8 bytes.
    long: bool,
    /// `h`: 2 bytes count, `hh`: 1.
    short: u8,
    kind: u8,
}

/// Formats; gives the text and how many arguments were used.
pub(super) fn format(template: &[u8], arguments: &mut dyn Arguments) -> (Vec<u8>, u32) {
    let mut text = Vec::with_capacity(template.len() + 16);
    let mut used = 0;
    let mut rest = template;
    while let Some(at) = rest.iter().position(|&byte| byte == b'%') {
        text.extend_from_slice(&rest[..at]);
        let spec = &rest[at..];
        let Some((conversion, length)) = parse(&spec[1..], arguments) else {
            rest = spec;
            break;
        };
        let spec_length = 1 + length;
        if conversion.kind == b'%' {
            text.push(b'%');
        } else if let Some(field) = convert(&conversion, arguments) {
            text.extend_from_slice(&field);
            used += 1;
        } else {
            // No conversion of C's, or no argument: shown as it is written.
            text.extend_from_slice(&spec[..spec_length]);
        }
        rest = &spec[spec_length..];
    }
    text.extend_from_slice(rest);
    (text, used)
}

/// Parses what follows a `%`; gives its length too.
fn parse(spec: &[u8], arguments: &mut dyn Arguments) -> Option<(Conversion, usize)> {
    let mut conversion = Conversion::default();
    let mut at = 0;
    while let Some(flag) = spec.get(at).filter(|byte| b"#0 +-".contains(byte)) {
        conversion.flags.push(*flag);
        at += 1;
    }
    conversion.width = if spec.get(at) == Some(&b'*') {
        at += 1;
        let width = arguments.int()? as i32;
        if width < 0 {
            conversion.flags.push(b'-');
        }
        Some(width.unsigned_abs().min(MOST))
    } else {
        number(spec, &mut at)
    };
    if spec.get(at) == Some(&b'.') {
        at += 1;
        conversion.precision = if spec.get(at) == Some(&b'*') {
            at += 1;
            u32::try_from(arguments.int()? as i32)
                .ok()
                .map(|digits| digits.min(MOST))
        } else {
            Some(number(spec, &mut at).unwrap_or(0))
        };
    }
    while let Some(modifier) = spec.get(at).filter(|byte| b"hlLqjzt".contains(byte)) {
        match modifier {
            b'h' => conversion.short += 1,
            b'L' => {}
            _ => conversion.long = true,
        }
        at += 1;
    }
    conversion.kind = *spec.get(at)?;
    Some((conversion, at + 1))
}

fn number(spec: &[u8], at: &mut usize) -> Option<u32> {
    let mut value = None;
    while let Some(digit) = spec.get(*at).filter(|byte| byte.is_ascii_digit()) {
        value = Some((value.unwrap_or(0) * 10 + u32::from(digit - b'0')).min(MOST));
        *at += 1;
    }
    value
}

fn convert(conversion: &Conversion, arguments: &mut dyn Arguments) -> Option<Vec<u8>> {
    match conversion.kind {
        b'd' | b'i' => {
            let value = if conversion.long {
                arguments.long()? as i64
            } else {
                i64::from(arguments.int()? as i32)
            };
            let value = match conversion.short {
                0 => value,
                1 => i64::from(value as i16),
                _ => i64::from(value as i8),
            };
            number_field(conversion, "ll", Value::Integer(value as u64))
        }
        b'u' | b'o' | b'x' | b'X' => {
            let value = if conversion.long {
                arguments.long()?
            } else {
                u64::from(arguments.int()?)
            };
            let value = match conversion.short {
                0 => value,
                1 => value & 0xffff,
                _ => value & 0xff,
            };
            number_field(conversion, "ll", Value::Integer(value))
        }
        b'e' | b'E' | b'f' | b'F' | b'g' | b'G' | b'a' | b'A' => number_field(
            conversion,
            "",
            Value::Float(f64::from_bits(arguments.long()?)),
        ),
        b'p' => number_field(conversion, "", Value::Integer(arguments.long()?)),
        b'c' => Some(pad(conversion, vec![arguments.int()? as u8])),
        b's' => {
            let address = arguments.long()?;
            let mut text = if address == 0 {
                b"(null)".to_vec()
            } else {
                arguments.string(address)?
            };
            if let Some(precision) = conversion.precision {
                text.truncate(precision as usize);
            }
            Some(pad(conversion, text))
        }
        _ => None,
    }
}

fn pad(conversion: &Conversion, mut text: Vec<u8>) -> Vec<u8> {
    let width = conversion.width.unwrap_or(0) as usize;
    let missing = width.saturating_sub(text.len());
    if conversion.flags.contains(&b'-') {
        text.resize(text.len() + missing, b' ');
    } else {
        text.splice(..0, std::iter::repeat_n(b' ', missing));
    }
    text
}

#[derive(Clone, Copy)]
enum Value {
    Integer(u64),
    Float(f64),
}

/// Has the C library format one number.
fn number_field(conversion: &Conversion, modifier: &str, value: Value) -> Option<Vec<u8>> {
    let mut template = vec![b'%'];
    template.extend_from_slice(&conversion.flags);
    if let Some(width) = conversion.width {
        template.extend_from_slice(width.to_string().as_bytes());
    }
    if let Some(precision) = conversion.precision {
        template.extend_from_slice(format!(".{precision}").as_bytes());
    }
    template.extend_from_slice(modifier.as_bytes());
    template.push(conversion.kind);
    let template = CString::new(template).ok()?;
    let mut field = vec![0u8; 64];
    loop {
        let (buffer, room) = (field.as_mut_ptr().cast(), field.len());
        // SAFETY: the template has one conversion, whose argument has the type it asks for (`ll` or a pointer: 8
        // bytes, or a double), and the buffer has the room that is told.
        let length = unsafe {
            match value {
                Value::Integer(value) => libc::snprintf(buffer, room, template.as_ptr(), value),
                Value::Float(value) => libc::snprintf(buffer, room, template.as_ptr(), value),
            }
        };
        let length = usize::try_from(length).ok()?;
        if length < field.len() {
            field.truncate(length);
            return Some(field);
        }
        field.resize(length + 1, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Arguments packed as a kernel packs them.
    #[derive(Default)]
    struct Packed {
        bytes: Vec<u8>,
        at: usize,
        strings: Vec<&'static str>,
    }

    impl Packed {
        fn int(mut self, value: i32) -> Self {
            self.bytes.extend_from_slice(&value.to_ne_bytes());
            self
        }

        fn long(mut self, value: u64) -> Self {
            self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
            self.bytes.extend_from_slice(&value.to_ne_bytes());
            self
        }

        fn double(self, value: f64) -> Self {
            self.long(value.to_bits())
        }

        fn string(mut self, value: &'static str) -> Self {
            self.strings.push(value);
            let number = self.strings.len() as u64;
            self.long(number)
        }

        fn next<const N: usize>(&mut self) -> Option<[u8; N]> {
            let at = self.at.next_multiple_of(N);
            self.at = at + N;
            self.bytes.get(at..at + N)?.try_into().ok()
        }

        fn print(mut self, template: &str) -> String {
            let (text, _) = format(template.as_bytes(), &mut self);
            String::from_utf8(text).unwrap()
        }
    }

    impl Arguments for Packed {
        fn int(&mut self) -> Option<u32> {
            self.next().map(u32::from_ne_bytes)
        }

        fn long(&mut self) -> Option<u64> {
            self.next().map(u64::from_ne_bytes)
        }

        fn string(&mut self, address: u64) -> Option<Vec<u8>> {
            self.strings
                .get(address as usize - 1)
                .map(|text| text.as_bytes().to_vec())
        }
    }

    fn none() -> Packed {
        Packed::default()
    }

    #[test]
    fn integers() {
        assert_eq!(none().int(-5).int(7).print("%d|%5d|"), "-5|    7|");
        assert_eq!(none().int(-1).print("%u"), "4294967295");
        assert_eq!(none().int(255).int(255).print("%#x %08X"), "0xff 000000FF");
        assert_eq!(
            none().int(1).long(1 << 40).int(2).print("%d %lld %d"),
            "1 1099511627776 2"
        );
        assert_eq!(none().long(u64::MAX).print("%ld"), "-1");
        assert_eq!(none().long(u64::MAX).print("%llu"), "18446744073709551615");
        assert_eq!(none().int(300).int(70000).print("%hhd %hu"), "44 4464");
        assert_eq!(none().int(8).print("%-4o|"), "10  |");
        assert_eq!(none().int(5).print("%+d"), "+5");
        assert_eq!(none().int(6).int(42).print("%*d"), "    42");
    }

    #[test]
    fn floats() {
        assert_eq!(none().double(1.5).print("%f"), "1.500000");
        assert_eq!(none().double(1234.5).print("%.2e"), "1.23e+03");
        assert_eq!(none().double(0.1).double(1e10).print("%g %G"), "0.1 1E+10");
        assert_eq!(
            none()
                .double(f64::INFINITY)
                .double(-f64::NAN.abs())
                .print("%f %f"),
            "inf -nan"
        );
        assert_eq!(none().int(1).double(2.5).print("%d %8.3f"), "1    2.500");
        assert_eq!(none().double(1.0).print("%a"), "0x1p+0");
        assert_eq!(none().double(1e308).print("%f").len(), 309 + 7);
    }

    #[test]
    fn characters_strings_and_pointers() {
        assert_eq!(none().int(i32::from(b'x')).print("<%c>"), "<x>");
        assert_eq!(
            none().string("abc").string("defgh").print("%5s|%.2s|"),
            "  abc|de|"
        );
        assert_eq!(none().string("left").print("%-6s|"), "left  |");
        assert_eq!(none().long(0x2000_0000_0200).print("%p"), "0x200000000200");
        assert_eq!(none().long(0).print("%s"), "(null)");
        assert_eq!(none().print("100%%"), "100%");
    }

    #[test]
    fn what_is_wrong_is_shown_as_written() {
        assert_eq!(none().print("%y %"), "%y %");
        assert_eq!(none().print("%d"), "%d");
        assert_eq!(none().int(1).print("%d %s"), "1 %s");
        assert_eq!(none().int(1).print("%99999999999d").len(), MOST as usize);
    }

    #[test]
    fn counts_its_arguments() {
        let mut arguments = none().int(1).int(2);
        assert_eq!(format(b"%d %d %%", &mut arguments).1, 2);
    }
}
