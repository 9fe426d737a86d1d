//! Rows: textures, surfaces, tensor maps. Read `spec/mod.rs` first.

/// Rows of the CUDA driver API: textures, surfaces, tensor maps.
#[macro_export]
macro_rules! driver_texture_rows { ($then:ident) => { $then! {
    0x0c01 absent absent    cuSurfObjectCreate(p_surf_object: Out<u64>, p_res_desc: InPtr);
    0x0c02 absent absent    cuSurfObjectDestroy(surf_object: In<u64>);
    0x0c03 absent absent    cuSurfObjectGetResourceDesc(p_res_desc: OutPtr, surf_object: In<u64>);
    0x0c04 absent absent    cuSurfRefGetArray(ph_array: OutPtr, h_surf_ref: Opaque);
    0x0c05 absent absent    cuSurfRefSetArray(h_surf_ref: Opaque, h_array: Opaque, flags: In<u32>);
    0x0c06 absent absent    cuTensorMapEncodeIm2col(tensor_map: OutPtr, tensor_data_type: In<u32>, tensor_rank: In<u32>, global_address: OutPtr, global_dim: InPtr, global_strides: InPtr, pixel_box_lower_corner: InPtr, pixel_box_upper_corner: InPtr, channels_per_pixel: In<u32>, pixels_per_column: In<u32>, element_strides: InPtr, interleave: In<u32>, swizzle: In<u32>, l2_promotion: In<u32>, oob_fill: In<u32>);
    0x0c07 absent absent    cuTensorMapEncodeIm2colWide(tensor_map: OutPtr, tensor_data_type: In<u32>, tensor_rank: In<u32>, global_address: OutPtr, global_dim: InPtr, global_strides: InPtr, pixel_box_lower_corner_width: In<i32>, pixel_box_upper_corner_width: In<i32>, channels_per_pixel: In<u32>, pixels_per_column: In<u32>, element_strides: InPtr, interleave: In<u32>, mode: In<u32>, swizzle: In<u32>, l2_promotion: In<u32>, oob_fill: In<u32>);
    0x0c08 absent absent    cuTensorMapEncodeTiled(tensor_map: OutPtr, tensor_data_type: In<u32>, tensor_rank: In<u32>, global_address: OutPtr, global_dim: InPtr, global_strides: InPtr, box_dim: InPtr, element_strides: InPtr, interleave: In<u32>, swizzle: In<u32>, l2_promotion: In<u32>, oob_fill: In<u32>);
    0x0c09 absent absent    cuTensorMapReplaceAddress(tensor_map: OutPtr, global_address: OutPtr);
    0x0c0a absent absent    cuTexObjectCreate(p_tex_object: Out<u64>, p_res_desc: InPtr, p_tex_desc: InPtr, p_res_view_desc: InPtr);
    0x0c0b absent absent    cuTexObjectDestroy(tex_object: In<u64>);
    0x0c0c absent absent    cuTexObjectGetResourceDesc(p_res_desc: OutPtr, tex_object: In<u64>);
    0x0c0d absent absent    cuTexObjectGetResourceViewDesc(p_res_view_desc: OutPtr, tex_object: In<u64>);
    0x0c0e absent absent    cuTexObjectGetTextureDesc(p_tex_desc: OutPtr, tex_object: In<u64>);
    0x0c0f absent absent    cuTexRefCreate(p_tex_ref: OutPtr);
    0x0c10 absent absent    cuTexRefDestroy(h_tex_ref: Opaque);
    0x0c11 absent absent    cuTexRefGetAddressMode(pam: Out<u32>, h_tex_ref: Opaque, dim: In<i32>);
    0x0c12 absent absent    cuTexRefGetAddress_v2(pdptr: Out<u64>, h_tex_ref: Opaque);
    0x0c13 absent absent    cuTexRefGetArray(ph_array: OutPtr, h_tex_ref: Opaque);
    0x0c14 absent absent    cuTexRefGetBorderColor(p_border_color: Out<f32>, h_tex_ref: Opaque);
    0x0c15 absent absent    cuTexRefGetFilterMode(pfm: Out<u32>, h_tex_ref: Opaque);
    0x0c16 absent absent    cuTexRefGetFlags(p_flags: Out<u32>, h_tex_ref: Opaque);
    0x0c17 absent absent    cuTexRefGetFormat(p_format: Out<u32>, p_num_channels: Out<i32>, h_tex_ref: Opaque);
    0x0c18 absent absent    cuTexRefGetMaxAnisotropy(pmax_aniso: Out<i32>, h_tex_ref: Opaque);
    0x0c19 absent absent    cuTexRefGetMipmapFilterMode(pfm: Out<u32>, h_tex_ref: Opaque);
    0x0c1a absent absent    cuTexRefGetMipmapLevelBias(pbias: Out<f32>, h_tex_ref: Opaque);
    0x0c1b absent absent    cuTexRefGetMipmapLevelClamp(pmin_mipmap_level_clamp: Out<f32>, pmax_mipmap_level_clamp: Out<f32>, h_tex_ref: Opaque);
    0x0c1c absent absent    cuTexRefGetMipmappedArray(ph_mipmapped_array: OutPtr, h_tex_ref: Opaque);
    0x0c1d absent absent    cuTexRefSetAddress2D_v3(h_tex_ref: Opaque, desc: InPtr, dptr: DevicePtr, pitch: In<usize>);
    0x0c1e absent absent    cuTexRefSetAddressMode(h_tex_ref: Opaque, dim: In<i32>, am: In<u32>);
    0x0c1f absent absent    cuTexRefSetAddress_v2(byte_offset: Out<usize>, h_tex_ref: Opaque, dptr: DevicePtr, bytes: In<usize>);
    0x0c20 absent absent    cuTexRefSetArray(h_tex_ref: Opaque, h_array: Opaque, flags: In<u32>);
    0x0c21 absent absent    cuTexRefSetBorderColor(h_tex_ref: Opaque, p_border_color: Out<f32>);
    0x0c22 absent absent    cuTexRefSetFilterMode(h_tex_ref: Opaque, fm: In<u32>);
    0x0c23 absent absent    cuTexRefSetFlags(h_tex_ref: Opaque, flags: In<u32>);
    0x0c24 absent absent    cuTexRefSetFormat(h_tex_ref: Opaque, fmt: In<u32>, num_packed_components: In<i32>);
    0x0c25 absent absent    cuTexRefSetMaxAnisotropy(h_tex_ref: Opaque, max_aniso: In<u32>);
    0x0c26 absent absent    cuTexRefSetMipmapFilterMode(h_tex_ref: Opaque, fm: In<u32>);
    0x0c27 absent absent    cuTexRefSetMipmapLevelBias(h_tex_ref: Opaque, bias: In<f32>);
    0x0c28 absent absent    cuTexRefSetMipmapLevelClamp(h_tex_ref: Opaque, min_mipmap_level_clamp: In<f32>, max_mipmap_level_clamp: In<f32>);
    0x0c29 absent absent    cuTexRefSetMipmappedArray(h_tex_ref: Opaque, h_mipmapped_array: Opaque, flags: In<u32>);
}};}
