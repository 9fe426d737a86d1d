//! Rows: events. Read `spec/mod.rs` first.

/// Rows of the CUDA driver API: events.
#[macro_export]
macro_rules! driver_event_rows { ($then:ident) => { $then! {
    0x0901 custom minted    cuEventCreate(ph_event: NewHandle<Event>, flags: In<u32>);
    0x0902 custom ended     cuEventDestroy_v2(h_event: Handle<Event>);
    0x0903 reply  asked     cuEventElapsedTime(p_milliseconds: Out<f32>, h_start: Handle<Event>, h_end: Handle<Event>);
    0x0904 reply  asked     cuEventElapsedTime_v2(p_milliseconds: Out<f32>, h_start: Handle<Event>, h_end: Handle<Event>);
    0x0905 custom recorded  cuEventQuery(h_event: Handle<Event>);
    0x0906 posted queued    cuEventRecord(h_event: Handle<Event>, h_stream: Handle<Stream>);
    0x0907 posted queued    cuEventRecordWithFlags(h_event: Handle<Event>, h_stream: Handle<Stream>, flags: In<u32>);
    0x0908 custom device    cuEventSynchronize(h_event: Handle<Event>);
}};}
