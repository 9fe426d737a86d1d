//! Rows: initialisation, errors, entry points, profiler. Read `spec/mod.rs` first.

/// Rows of the CUDA driver API: initialisation, errors, entry points, profiler.
#[macro_export]
macro_rules! driver_init_rows { ($then:ident) => { $then! {
    0x0001 local  cuDriverGetVersion(driver_version: Out<i32>);
    0x0002 local  cuGetErrorName(error: In<u32>, p_str: OutPtr);
    0x0003 local  cuGetErrorString(error: In<u32>, p_str: OutPtr);
    0x0004 local  cuGetExportTable(pp_export_table: OutPtr, p_export_table_id: InPtr);
    0x0005 local  cuGetProcAddress(symbol: CStr, pfn: OutPtr, cuda_version: In<i32>, flags: In<u64>);
    0x0006 local  cuGetProcAddress_v2(symbol: CStr, pfn: OutPtr, cuda_version: In<i32>, flags: In<u64>, symbol_status: Out<u32>);
    0x0007 local  cuInit(flags: In<u32>);
    0x0008 local  cuProfilerStart();
    0x0009 local  cuProfilerStop();
    0x000a absent cuCoredumpGetAttribute(attrib: In<u32>, value: OutPtr, size: Out<usize>);
    0x000b absent cuCoredumpGetAttributeGlobal(attrib: In<u32>, value: OutPtr, size: Out<usize>);
    0x000c absent cuCoredumpSetAttribute(attrib: In<u32>, value: OutPtr, size: Out<usize>);
    0x000d absent cuCoredumpSetAttributeGlobal(attrib: In<u32>, value: OutPtr, size: Out<usize>);
    0x000e absent cuLogsCurrent(iterator_out: Out<u32>, flags: In<u32>);
    0x000f absent cuLogsDumpToFile(iterator: Out<u32>, path_to_file: CStr, flags: In<u32>);
    0x0010 absent cuLogsDumpToMemory(iterator: Out<u32>, buffer: OutPtr, size: Out<usize>, flags: In<u32>);
    0x0011 absent cuLogsRegisterCallback(callback_func: Callback, user_data: OutPtr, callback_out: OutPtr);
    0x0012 absent cuLogsUnregisterCallback(callback: Opaque);
    0x0013 absent cuProfilerInitialize(config_file: CStr, output_file: CStr, output_mode: In<u32>);
}};}
