//! Rows: devices. Read `spec/mod.rs` first.

/// Rows of the CUDA driver API: devices.
#[macro_export]
macro_rules! driver_device_rows { ($then:ident) => { $then! {
    0x0101 local  constant  cuDeviceCanAccessPeer(can_access_peer: Out<i32>, dev: In<i32>, peer_dev: In<i32>);
    0x0102 local  snapshot  cuDeviceComputeCapability(major: Out<i32>, minor: Out<i32>, dev: In<i32>);
    0x0103 local  snapshot  cuDeviceGet(device: Out<i32>, ordinal: In<i32>);
    0x0104 local  snapshot  cuDeviceGetAttribute(pi: Out<i32>, attrib: In<u32>, dev: In<i32>);
    0x0105 local  snapshot  cuDeviceGetByPCIBusId(dev: Out<i32>, pci_bus_id: CStr);
    0x0106 local  snapshot  cuDeviceGetCount(count: Out<i32>);
    0x0107 local  books     cuDeviceGetDefaultMemPool(pool_out: NewHandle<Pool>, dev: In<i32>);
    0x0108 local  constant  cuDeviceGetExecAffinitySupport(pi: Out<i32>, kind: In<u32>, dev: In<i32>);
    0x0109 local  constant  cuDeviceGetLuid(luid: OutPtr, device_node_mask: Out<u32>, dev: In<i32>);
    0x010a local  books     cuDeviceGetMemPool(pool: NewHandle<Pool>, dev: In<i32>);
    0x010b local  snapshot  cuDeviceGetName(name: OutPtr, len: In<i32>, dev: In<i32>);
    0x010c local  constant  cuDeviceGetP2PAttribute(value: Out<i32>, attrib: In<u32>, src_device: In<i32>, dst_device: In<i32>);
    0x010d local  snapshot  cuDeviceGetPCIBusId(pci_bus_id: OutPtr, len: In<i32>, dev: In<i32>);
    0x010e local  snapshot  cuDeviceGetProperties(prop: OutPtr, dev: In<i32>);
    0x010f local  snapshot  cuDeviceGetUuid(uuid: OutPtr, dev: In<i32>);
    0x0110 local  snapshot  cuDeviceGetUuid_v2(uuid: OutPtr, dev: In<i32>);
    0x0111 local  books     cuDeviceSetMemPool(dev: In<i32>, pool: Handle<Pool>);
    0x0112 local  snapshot  cuDeviceTotalMem_v2(bytes: Out<usize>, dev: In<i32>);
    0x0113 absent absent    cuDeviceGetGraphMemAttribute(device: In<i32>, attr: In<u32>, value: OutPtr);
    0x0114 absent absent    cuDeviceGetHostAtomicCapabilities(capabilities: Out<u32>, operations: InPtr, count: In<u32>, dev: In<i32>);
    0x0115 absent absent    cuDeviceGetP2PAtomicCapabilities(capabilities: Out<u32>, operations: InPtr, count: In<u32>, src_device: In<i32>, dst_device: In<i32>);
    0x0116 absent absent    cuDeviceGetTexture1DLinearMaxWidth(max_width_in_elements: Out<usize>, format: In<u32>, num_channels: In<u32>, dev: In<i32>);
    0x0117 absent absent    cuDeviceGraphMemTrim(device: In<i32>);
    0x0118 absent absent    cuDeviceRegisterAsyncNotification(device: In<i32>, callback_func: Callback, user_data: OutPtr, callback: OutPtr);
    0x0119 absent absent    cuDeviceSetGraphMemAttribute(device: In<i32>, attr: In<u32>, value: OutPtr);
    0x011a absent absent    cuDeviceUnregisterAsyncNotification(device: In<i32>, callback: Opaque);
}};}
