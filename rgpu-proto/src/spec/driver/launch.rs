//! Rows: launches, functions, occupancy. Read `spec/mod.rs` first.

/// Rows of the CUDA driver API: launches, functions, occupancy.
#[macro_export]
macro_rules! driver_launch_rows { ($then:ident) => { $then! {
    0x0a01 reply  known     cuFuncGetAttribute(pi: Out<i32>, attrib: In<u32>, hfunc: Handle<Function>);
    0x0a02 local  image     cuFuncGetModule(hmod: NewHandle<Module>, hfunc: Handle<Function>);
    0x0a03 local  image     cuFuncGetName(name: OutPtr, hfunc: Handle<Function>);
    0x0a04 local  image     cuFuncGetParamInfo(func: Handle<Function>, param_index: In<usize>, param_offset: Out<usize>, param_size: Out<usize>);
    0x0a05 local  constant  cuFuncIsLoaded(state: Out<u32>, function: Handle<Function>);
    0x0a06 local  constant  cuFuncLoad(function: Handle<Function>);
    0x0a07 reply  judged    cuFuncSetAttribute(hfunc: Handle<Function>, attrib: In<u32>, value: In<i32>);
    0x0a08 posted queued    cuFuncSetCacheConfig(hfunc: Handle<Function>, config: In<u32>);
    0x0a09 local  constant  cuFuncSetSharedMemConfig(hfunc: Handle<Function>, config: In<u32>);
    0x0a0a custom queued    cuLaunchCooperativeKernel(f: Handle<Function>, grid_dim_x: In<u32>, grid_dim_y: In<u32>, grid_dim_z: In<u32>, block_dim_x: In<u32>, block_dim_y: In<u32>, block_dim_z: In<u32>, shared_mem_bytes: In<u32>, h_stream: Handle<Stream>, kernel_params: OutPtr);
    0x0a0b custom called    cuLaunchHostFunc(h_stream: Handle<Stream>, fn_: Callback, user_data: OutPtr);
    0x0a0c custom queued    cuLaunchKernel(f: Handle<Function>, grid_dim_x: In<u32>, grid_dim_y: In<u32>, grid_dim_z: In<u32>, block_dim_x: In<u32>, block_dim_y: In<u32>, block_dim_z: In<u32>, shared_mem_bytes: In<u32>, h_stream: Handle<Stream>, kernel_params: OutPtr, extra: OutPtr);
    0x0a0d custom queued    cuLaunchKernelEx(config: InPtr, f: Handle<Function>, kernel_params: OutPtr, extra: OutPtr);
    0x0a0e reply  known     cuOccupancyAvailableDynamicSMemPerBlock(dynamic_smem_size: Out<usize>, func: Handle<Function>, num_blocks: In<i32>, block_size: In<i32>);
    0x0a0f reply  known     cuOccupancyMaxActiveBlocksPerMultiprocessor(num_blocks: Out<i32>, func: Handle<Function>, block_size: In<i32>, dynamic_smem_size: In<usize>);
    0x0a10 reply  known     cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(num_blocks: Out<i32>, func: Handle<Function>, block_size: In<i32>, dynamic_smem_size: In<usize>, flags: In<u32>);
    0x0a11 custom known     cuOccupancyMaxPotentialBlockSize(min_grid_size: Out<i32>, block_size: Out<i32>, func: Handle<Function>, block_size_to_dynamic_smem_size: Callback, dynamic_smem_size: In<usize>, block_size_limit: In<i32>);
    0x0a12 custom known     cuOccupancyMaxPotentialBlockSizeWithFlags(min_grid_size: Out<i32>, block_size: Out<i32>, func: Handle<Function>, block_size_to_dynamic_smem_size: Callback, dynamic_smem_size: In<usize>, block_size_limit: In<i32>, flags: In<u32>);
    0x0a13 absent absent    cuFuncSetBlockShape(hfunc: Handle<Function>, x: In<i32>, y: In<i32>, z: In<i32>);
    0x0a14 absent absent    cuFuncSetSharedSize(hfunc: Handle<Function>, bytes: In<u32>);
    0x0a15 absent absent    cuLaunch(f: Handle<Function>);
    0x0a16 absent absent    cuLaunchCooperativeKernelMultiDevice(launch_params_list: OutPtr, num_devices: In<u32>, flags: In<u32>);
    0x0a17 absent absent    cuLaunchGrid(f: Handle<Function>, grid_width: In<i32>, grid_height: In<i32>);
    0x0a18 absent absent    cuLaunchGridAsync(f: Handle<Function>, grid_width: In<i32>, grid_height: In<i32>, h_stream: Handle<Stream>);
    0x0a19 custom known     cuOccupancyMaxActiveClusters(num_clusters: Out<i32>, func: Handle<Function>, config: InPtr);
    0x0a1a local  constant  cuOccupancyMaxPotentialClusterSize(cluster_size: Out<i32>, func: Handle<Function>, config: InPtr);
    0x0a1b absent absent    cuParamSetSize(hfunc: Handle<Function>, numbytes: In<u32>);
    0x0a1c absent absent    cuParamSetTexRef(hfunc: Handle<Function>, texunit: In<i32>, h_tex_ref: Opaque);
    0x0a1d absent absent    cuParamSetf(hfunc: Handle<Function>, offset: In<i32>, value: In<f32>);
    0x0a1e absent absent    cuParamSeti(hfunc: Handle<Function>, offset: In<i32>, value: In<u32>);
    0x0a1f absent absent    cuParamSetv(hfunc: Handle<Function>, offset: In<i32>, ptr: OutPtr, numbytes: In<u32>);
}};}
