//! The control plane's messages, client and server, generated from `rgpu-proto/proto/control.proto`.
#![allow(
    missing_debug_implementations,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    clippy::allow_attributes_without_reason,
    reason = "generated code"
)]

tonic::include_proto!("rgpu.control.v1");
