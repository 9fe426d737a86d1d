//! Names of the C API for functions that are generic over the type of elements and of sizes.
//!
//! ```text
//! named! {
//!     unsafe fn scal<T: Typed, I: Index>(handle: Handle, n: I, alpha: *const C<T>, …) -> Result { … }
//!     cublasSscal_v2, cublasSscal_v2_64: f32;
//! }
//! ```
//!
//! is the generic function, and `cublasSscal_v2` with `f32` and `i32`, `cublasSscal_v2_64` with `f32` and `i64`.

macro_rules! named {
    (
        $(#[$meta:meta])*
        unsafe fn $generic:ident<T: $bound:path, I: Index> $params:tt -> Result $body:block
        $($name:ident $(, $wide:ident)?: $type:ty;)*
    ) => {
        crate::names::named!(@generic [$(#[$meta])*] $generic [$bound] $params $body);
        $(
            crate::names::named!(@one $generic $name [$type] [i32] $params);
            $(crate::names::named!(@one $generic $wide [$type] [i64] $params);)?
        )*
    };
    (@generic [$(#[$meta:meta])*] $generic:ident [$bound:path] ($($param:ident: $type:ty),* $(,)?) $body:block) => {
        $(#[$meta])*
        unsafe fn $generic<T: $bound, I: Index>($($param: $type),*) -> Result $body
    };
    (@one $generic:ident $name:ident [$element:ty] [$index:ty] ($($param:ident: $type:ty),* $(,)?)) => {
        mod $name {
            use super::*;
            #[allow(dead_code, reason = "not every signature names both")]
            type T = $element;
            #[allow(dead_code, reason = "not every signature names both")]
            type I = $index;

            pub(crate) unsafe fn call($($param: $type),*) -> Result {
                // SAFETY: the caller's promise, that of the C function.
                unsafe { super::$generic::<T, I>($($param),*) }
            }
        }
        pub(crate) use $name::call as $name;
    };
}
pub(crate) use named;
