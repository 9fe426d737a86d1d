//! The graph API.
//!
//! | module | holds |
//! |---|---|
//! | [`api`] | the C functions on backend descriptors |
//! | [`descriptor`] | a descriptor: attributes, as they were set |
//! | [`build`] | operations from descriptors, once a graph is complete |
//! | [`pointwise`] | the functions of pointwise operations |
//! | [`run`] | a graph on the tensors of a variant pack |
//!
//! There is one engine, and it interprets: each operation after those whose results it needs, with memory of its own for
//! virtual tensors. So it runs every graph whose operations it knows. It needs no workspace, and has no knobs.

pub(crate) mod api;
pub(crate) mod build;
pub(crate) mod descriptor;
pub(crate) mod pointwise;
pub(crate) mod run;

/// Attributes and kinds of descriptors, as the C headers number them.
pub(crate) mod names {
    macro_rules! names {
        ($($name:ident = $value:literal;)*) => { $(pub(crate) const $name: u32 = $value;)* };
    }

    names! {
        POINTWISE = 0; CONVOLUTION = 1; ENGINE = 2; ENGINECFG = 3; ENGINEHEUR = 4; EXECUTION_PLAN = 5;
        OP_CONVOLUTION_FORWARD = 10; OP_CONVOLUTION_BWD_FILTER = 11;
        OP_CONVOLUTION_BWD_DATA = 12; OP_POINTWISE = 13; OPERATIONGRAPH = 15; VARIANT_PACK = 16; TENSOR = 17;
        OP_MATMUL = 19; REDUCTION = 21; OP_REDUCTION = 22; OP_RESHAPE = 31;
    }

    names! {
        TYPE_INT64 = 3; TYPE_FLOAT = 4; TYPE_DOUBLE = 5;
        TYPE_NUMERICAL_NOTE = 11; TYPE_DESCRIPTOR = 15;
    }

    names! {
        POINTWISE_MODE = 0; POINTWISE_RELU_LOWER_CLIP = 3; POINTWISE_RELU_UPPER_CLIP = 4;
        POINTWISE_RELU_LOWER_CLIP_SLOPE = 5; POINTWISE_ELU_ALPHA = 6; POINTWISE_SOFTPLUS_BETA = 7;
        POINTWISE_SWISH_BETA = 8;
        CONVOLUTION_CONV_MODE = 101; CONVOLUTION_DILATIONS = 102; CONVOLUTION_FILTER_STRIDES = 103;
        CONVOLUTION_POST_PADDINGS = 104; CONVOLUTION_PRE_PADDINGS = 105;
        ENGINEHEUR_MODE = 200; ENGINEHEUR_OPERATION_GRAPH = 201; ENGINEHEUR_RESULTS = 202;
        ENGINECFG_ENGINE = 300; ENGINECFG_INTERMEDIATE_INFO = 301; ENGINECFG_KNOB_CHOICES = 302;
        ENGINECFG_WORKSPACE_SIZE = 303; ENGINECFG_SHARED_MEMORY_USED = 304;
        EXECUTION_PLAN_ENGINE_CONFIG = 401; EXECUTION_PLAN_WORKSPACE_SIZE = 402;
        FORWARD_ALPHA = 700; FORWARD_BETA = 701; FORWARD_CONV = 702; FORWARD_W = 703; FORWARD_X = 704; FORWARD_Y = 705;
        BWD_DATA_ALPHA = 706; BWD_DATA_BETA = 707; BWD_DATA_CONV = 708; BWD_DATA_W = 709; BWD_DATA_DX = 710;
        BWD_DATA_DY = 711;
        BWD_FILTER_ALPHA = 712; BWD_FILTER_BETA = 713; BWD_FILTER_CONV = 714; BWD_FILTER_DW = 715; BWD_FILTER_X = 716;
        BWD_FILTER_DY = 717;
        OP_POINTWISE_PW = 750; OP_POINTWISE_X = 751; OP_POINTWISE_B = 752; OP_POINTWISE_Y = 753;
        OP_POINTWISE_ALPHA1 = 754; OP_POINTWISE_ALPHA2 = 755; OP_POINTWISE_DX = 756; OP_POINTWISE_DY = 757;
        OP_POINTWISE_T = 758;
        OPERATIONGRAPH_OPS = 801; OPERATIONGRAPH_ENGINE_GLOBAL_COUNT = 802;
        TENSOR_DATA_TYPE = 901; TENSOR_DIMENSIONS = 902; TENSOR_STRIDES = 903; TENSOR_VECTOR_COUNT = 904;
        TENSOR_UNIQUE_ID = 906; TENSOR_IS_VIRTUAL = 907; TENSOR_IS_BY_VALUE = 908; TENSOR_REORDERING_MODE = 909;
        TENSOR_RAGGED_OFFSET = 913;
        VARIANT_PACK_UNIQUE_IDS = 1000; VARIANT_PACK_DATA_POINTERS = 1001;
        ENGINE_OPERATION_GRAPH = 1300; ENGINE_GLOBAL_INDEX = 1301; ENGINE_KNOB_INFO = 1302;
        ENGINE_NUMERICAL_NOTE = 1303; ENGINE_LAYOUT_INFO = 1304; ENGINE_BEHAVIOR_NOTE = 1305;
        OP_MATMUL_A = 1520; OP_MATMUL_B = 1521; OP_MATMUL_C = 1522;
        OP_MATMUL_M_OVERRIDE = 1525; OP_MATMUL_N_OVERRIDE = 1526; OP_MATMUL_K_OVERRIDE = 1527;
        REDUCTION_OPERATOR = 1600; OP_REDUCTION_X = 1610; OP_REDUCTION_Y = 1611; OP_REDUCTION_DESC = 1612;
        OP_RESHAPE_X = 2200; OP_RESHAPE_Y = 2201;
    }
}
