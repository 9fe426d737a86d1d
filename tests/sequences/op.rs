//! Sequences of calls as data: what proptest makes and shrinks, and what `sequence-probe` reads, one operation a line.
//!
//! All arguments are small numbers. What they stand for (slots of handles, sizes, offsets) is in `bin/sequence_probe`;
//! small numbers are the plain cases, so that a sequence shrinks towards them, and the last ones are what a program
//! should not pass.

use proptest::prelude::*;
use proptest::strategy::Union;

/// Arguments at most.
const ARGUMENTS: usize = 8;

// `4 Memset memset (buffer: device, at: offset);` is an operation that is as frequent as its weight, its name in text, and
// its arguments with what they are.
macro_rules! operations {
    ($($weight:literal $variant:ident $name:ident ($($field:ident: $kind:ident),*);)*) => {
        /// An operation.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Op {
            $(#[doc = stringify!($name)] $variant {
                $(#[doc = stringify!($kind)] $field: u32,)*
            },)*
        }

        impl Op {
            /// The line of text.
            pub fn to_text(self) -> String {
                match self {
                    $(Self::$variant { $($field),* } => {
                        let arguments: &[u32] = &[$($field),*];
                        let mut text = stringify!($name).to_owned();
                        for argument in arguments {
                            text += &format!(" {argument}");
                        }
                        text
                    })*
                }
            }

            fn from_parts(name: &str, arguments: &[u32]) -> Option<Self> {
                let mut arguments = arguments.iter().copied();
                let op = match name {
                    $(stringify!($name) => Self::$variant { $($field: arguments.next()?),* },)*
                    _ => return None,
                };
                arguments.next().is_none().then_some(op)
            }
        }

        /// Any operation.
        pub fn any_op() -> impl Strategy<Value = Op> {
            Union::new_weighted(vec![$((
                $weight,
                (Just(()), $(arguments::$kind(),)*).prop_map(|((), $($field,)*)| Op::$variant { $($field),* }).boxed(),
            )),*])
        }
    };
}

operations! {
    3 StreamCreate stream_create (slot: own_stream, flags: flags, priority: priority);
    2 StreamDestroy stream_destroy (stream: stream);
    2 StreamQuery stream_query (stream: stream);
    3 StreamSynchronize stream_synchronize (stream: stream);
    2 StreamLook stream_look (stream: stream, what: few);
    3 EventCreate event_create (slot: own_event, flags: flags);
    1 EventDestroy event_destroy (event: event);
    5 EventRecord event_record (event: event, stream: stream);
    4 StreamWait stream_wait (stream: stream, event: event, flags: rarely);
    2 EventQuery event_query (event: event);
    3 EventSynchronize event_synchronize (event: event);
    1 EventElapsed event_elapsed (start: event, end: event);
    1 ContextCreate context_create (slot: own_context, flags: flags);
    1 ContextDestroy context_destroy (context: context);
    2 ContextPush context_push (context: context);
    2 ContextPop context_pop ();
    1 ContextSet context_set (context: context);
    2 ContextSynchronize context_synchronize ();
    1 ContextLook context_look (what: few);
    1 LimitSet limit_set (limit: limit, value: few);
    2 ModuleLoad module_load (slot: own_module, image: image);
    1 ModuleUnload module_unload (module: module);
    2 FunctionGet function_get (slot: own_function, module: module, name: few);
    1 GlobalGet global_get (module: module, name: few);
    1 FunctionLook function_look (function: function, what: few);
    1 FunctionSet function_set (function: function, attribute: few, value: few);
    1 Occupancy occupancy (function: function, block: block, shared: few);
    5 Alloc alloc (slot: own_device, size: size);
    3 Free free (buffer: device);
    4 AllocAsync alloc_async (slot: own_device, size: size, stream: stream);
    3 FreeAsync free_async (buffer: device, stream: stream);
    1 PoolCreate pool_create (slot: own_pool, most: few);
    1 PoolDestroy pool_destroy (pool: pool);
    2 AllocFrom alloc_from (slot: own_device, size: size, pool: pool, stream: stream);
    1 PointerLook pointer_look (buffer: device, at: offset, what: few);
    2 PinnedAlloc pinned_alloc (slot: own_pinned, size: size, flags: few);
    1 PinnedFree pinned_free (buffer: pinned, how: how);
    3 PinnedFill pinned_fill (buffer: pinned, value: byte, how: how);
    3 PinnedRead pinned_read (buffer: pinned, how: how);
    4 Set set (buffer: device, at: offset, count: length, value: byte, width: few);
    4 SetAsync set_async (buffer: device, at: offset, count: length, value: byte, width: few, stream: stream, how: how);
    2 Set2d set_2d (buffer: device, pitch: few, width: length, height: few, value: byte, stream: stream, how: how);
    5 CopyIn copy_in (buffer: device, at: offset, len: length, seed: byte);
    5 CopyInAsync copy_in_async (buffer: device, at: offset, len: length, seed: byte, stream: stream, how: how);
    5 CopyOut copy_out (buffer: device, at: offset, len: length);
    4 CopyOutAsync copy_out_async (buffer: device, at: offset, len: length, stream: stream, how: how);
    4 PinnedIn pinned_in (buffer: device, at: offset, len: length, pinned: pinned, stream: stream, how: how);
    4 PinnedOut pinned_out (pinned: pinned, buffer: device, at: offset, len: length, stream: stream, how: how);
    4 Copy copy (to: device, to_at: offset, from: device, from_at: offset, len: length);
    4 CopyAsync copy_async (to: device, to_at: offset, from: device, from_at: offset, len: length, stream: stream, how: how);
    3 Copy2d copy_2d (to: device, from: device, way: few, width: length, height: few, pitches: few, stream: stream, how: how);
    9 Mix mix (function: function, buffer: device, factor: byte, block: block, shape: shape, delay: delay, stream: stream, how: how);
    6 Pair pair (function: pair, to: device, from: device, block: block, delay: delay, stream: stream, how: how);
    4 HostFunction host_function (stream: stream, pinned: pinned, value: byte, how: how);
    1 Die die (way: few);
    1 WriteValue write_value (buffer: device, at: offset, value: byte, stream: stream, how: how);
}

/// What arguments may be. The commented numbers are what the probe takes them for.
mod arguments {
    use super::*;

    macro_rules! kinds {
        ($($name:ident $plain:expr, $odd:expr;)*) => {$(
            pub(super) fn $name() -> BoxedStrategy<u32> {
                prop_oneof![12 => $plain, 1 => $odd].boxed()
            }
        )*};
    }

    kinds! {
        // 0 the default stream, 1 to 3 slots; 4 and 5 its other names, 6 a bogus handle.
        stream 0_u32..4, 4_u32..7;
        own_stream 1_u32..4, 1_u32..4;
        // 0 to 2 slots; 3 null, 4 a bogus handle, 5 a stream.
        event 0_u32..3, 3_u32..6;
        own_event 0_u32..3, 0_u32..3;
        // 0 the primary context, 1 and 2 slots; 3 null, 4 a bogus handle.
        context 0_u32..3, 3_u32..5;
        own_context 1_u32..3, 1_u32..3;
        // 0 and 1 slots; 2 null, 3 a bogus handle.
        module 0_u32..2, 2_u32..4;
        own_module 0_u32..2, 0_u32..2;
        // 0 to 3 slots; 4 null, 5 a bogus handle.
        function 0_u32..4, 4_u32..6;
        own_function 0_u32..4, 0_u32..4;
        // The slot that `pair` is in at first, or another.
        pair 1_u32..2, 0_u32..4;
        // 0 to 4 slots; 5 null, 6 an address that is none of the device.
        device 0_u32..5, 5_u32..7;
        own_device 0_u32..5, 0_u32..5;
        // 0 and 1 slots; 2 null, 3 a bogus handle.
        pool 0_u32..2, 2_u32..4;
        own_pool 0_u32..2, 0_u32..2;
        // 0 and 1 slots; 2 null.
        pinned 0_u32..2, 2_u32..3;
        own_pinned 0_u32..2, 0_u32..2;
        flags 0_u32..2, 2_u32..9;
        priority 0_u32..3, 3_u32..7;
        few 0_u32..4, 4_u32..10;
        rarely 0_u32..1, 1_u32..3;
        limit 0_u32..4, 4_u32..8;
        image 0_u32..2, 2_u32..7;
        size 1_u32..6, 6_u32..10;
        offset 0_u32..3, 3_u32..8;
        length 1_u32..6, 6_u32..9;
        byte 0_u32..256, 0_u32..256;
        block 0_u32..5, 5_u32..8;
        shape 0_u32..1, 1_u32..12;
        delay 0_u32..3, 3_u32..4;
        how 0_u32..3, 0_u32..3;
    }
}

/// Lines of text; lines that are empty or begin with `#` are comments.
///
/// # Errors
/// The first line that is no operation.
pub fn from_text(text: &str) -> Result<Vec<Op>, String> {
    let lines = text.lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let mut words = line.split_whitespace();
            let name = words.next().unwrap_or_default();
            let arguments: Option<Vec<u32>> = words.map(|word| word.parse().ok()).collect();
            arguments
                .filter(|arguments| arguments.len() <= ARGUMENTS)
                .and_then(|arguments| Op::from_parts(name, &arguments))
                .ok_or_else(|| line.to_owned())
        })
        .collect()
}

/// One operation a line.
pub fn to_text(ops: &[Op]) -> String {
    ops.iter().map(|op| op.to_text() + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_and_refused() {
        let text = "# comment\n\nfree 3\n  stream_wait 1 0 0\n";
        let ops = [
            Op::Free { buffer: 3 },
            Op::StreamWait {
                stream: 1,
                event: 0,
                flags: 0,
            },
        ];
        assert_eq!(from_text(text), Ok(ops.to_vec()));
        for wrong in ["free", "free 3 4", "free x", "fly 1", "free -1"] {
            assert_eq!(from_text(wrong), Err(wrong.to_owned()));
        }
    }

    proptest! {
        #[test]
        fn text_comes_back(ops in prop::collection::vec(any_op(), 0..40)) {
            prop_assert_eq!(from_text(&to_text(&ops)), Ok(ops));
        }
    }
}
