//! The C functions on backend descriptors.
#![expect(non_snake_case, reason = "they are the C functions of the same names")]

use std::ffi::c_void;
use std::sync::Arc;

use super::build::Graph;
use super::descriptor::{Descriptor, Value, size};
use super::names::*;
use super::run;
use crate::objects::{Context, create, destroy, get, with};
use crate::status::{Result, Status, require};
use crate::types::put;

/// Elements of an attribute: more than any has.
const MOST: i64 = 1 << 20;

pub(crate) unsafe fn cudnnBackendCreateDescriptor(
    kind: u32,
    descriptor: *mut *mut c_void,
) -> Result {
    // The last kind of 9.10.
    if kind > 36 {
        return Err(Status::NOT_SUPPORTED);
    }
    // SAFETY: the caller keeps the contract of the C function.
    unsafe { create(descriptor, Descriptor::new(kind)) }
}

pub(crate) unsafe fn cudnnBackendDestroyDescriptor(descriptor: *mut c_void) -> Result {
    destroy::<Descriptor>(descriptor)
}

pub(crate) unsafe fn cudnnBackendInitialize(descriptor: *mut c_void) -> Result {
    with(descriptor, |held: &mut Descriptor| {
        *held = Descriptor::new(held.kind);
        Ok(())
    })
}

pub(crate) unsafe fn cudnnBackendSetAttribute(
    descriptor: *mut c_void,
    name: u32,
    kind: u32,
    count: i64,
    elements: *const c_void,
) -> Result {
    require((0..=MOST).contains(&count))?;
    let count = count as usize;
    if count > 0 && elements.is_null() {
        return Err(Status::BAD_PARAM_NULL_POINTER);
    }
    let bytes = match count {
        0 => Vec::new(),
        // SAFETY: the caller keeps the contract of the C function: that many elements of that type.
        _ => unsafe { std::slice::from_raw_parts(elements.cast::<u8>(), count * size(kind)?) }
            .to_vec(),
    };
    let value = match kind {
        TYPE_DESCRIPTOR => {
            let mut parts = Vec::with_capacity(count);
            for chunk in bytes.chunks_exact(8) {
                let address = usize::from_ne_bytes(chunk.try_into().unwrap_or_default());
                let part = get::<Descriptor>(std::ptr::without_provenance_mut(address))?;
                if !part.finalized {
                    return Err(Status::BAD_PARAM_NOT_FINALIZED);
                }
                parts.push(Arc::new(part));
            }
            Value::Parts(parts)
        }
        _ => Value::Plain { kind, bytes },
    };
    with(descriptor, |held: &mut Descriptor| {
        require(!held.finalized)?;
        held.values.insert(name, value);
        Ok(())
    })
}

pub(crate) unsafe fn cudnnBackendFinalize(descriptor: *mut c_void) -> Result {
    with(descriptor, finalize)
}

fn finalize(held: &mut Descriptor) -> Result {
    let graph_of = |part: &Descriptor| part.graph.clone().ok_or(Status::BAD_PARAM);
    match held.kind {
        TENSOR => {
            super::build::tensor(held)?;
        }
        OPERATIONGRAPH => held.graph = Some(Arc::new(Graph::build(held)?)),
        ENGINEHEUR => {
            let graph = held
                .part(ENGINEHEUR_OPERATION_GRAPH, OPERATIONGRAPH)?
                .clone();
            let operations = graph_of(&graph)?;
            operations.supported()?;
            // Modes instant, B and A, and the one to fall back to: the same engine.
            require(held.number(ENGINEHEUR_MODE).is_some_and(|mode| mode <= 3))?;
            let config = config(engine(graph, operations));
            held.values
                .insert(ENGINEHEUR_RESULTS, Value::Parts(vec![Arc::new(config)]));
        }
        ENGINE => {
            let graph = held.part(ENGINE_OPERATION_GRAPH, OPERATIONGRAPH)?.clone();
            let operations = graph_of(&graph)?;
            if held.integers(ENGINE_GLOBAL_INDEX) != [0] {
                return Err(Status::NOT_SUPPORTED);
            }
            operations.supported()?;
            *held = engine(graph, operations);
        }
        ENGINECFG => {
            let engine = held.part(ENGINECFG_ENGINE, ENGINE)?.clone();
            *held = config((*engine).clone());
        }
        EXECUTION_PLAN => {
            let config = held.part(EXECUTION_PLAN_ENGINE_CONFIG, ENGINECFG)?.clone();
            held.graph = Some(graph_of(&config)?);
            held.set_integers(EXECUTION_PLAN_WORKSPACE_SIZE, &[0]);
        }
        VARIANT_PACK => {
            let (ids, pointers) = (
                held.integers(VARIANT_PACK_UNIQUE_IDS),
                held.integers(VARIANT_PACK_DATA_POINTERS),
            );
            require(ids.len() == pointers.len())?;
        }
        _ => {}
    }
    held.finalized = true;
    Ok(())
}

fn engine(graph: Arc<Descriptor>, operations: Arc<Graph>) -> Descriptor {
    let mut engine = Descriptor::new(ENGINE);
    engine
        .values
        .insert(ENGINE_OPERATION_GRAPH, Value::Parts(vec![graph]));
    engine.set_integers(ENGINE_GLOBAL_INDEX, &[0]);
    for name in [ENGINE_KNOB_INFO, ENGINE_LAYOUT_INFO] {
        engine.values.insert(name, Value::Parts(Vec::new()));
    }
    // Products and sums in full precision, always the same: there is nothing to note.
    for name in [ENGINE_NUMERICAL_NOTE, ENGINE_BEHAVIOR_NOTE] {
        engine.values.insert(
            name,
            Value::Plain {
                kind: TYPE_NUMERICAL_NOTE,
                bytes: Vec::new(),
            },
        );
    }
    engine.graph = Some(operations);
    engine.finalized = true;
    engine
}

fn config(engine: Descriptor) -> Descriptor {
    let mut config = Descriptor::new(ENGINECFG);
    config.graph.clone_from(&engine.graph);
    config
        .values
        .insert(ENGINECFG_ENGINE, Value::Parts(vec![Arc::new(engine)]));
    for name in [ENGINECFG_KNOB_CHOICES, ENGINECFG_INTERMEDIATE_INFO] {
        config.values.insert(name, Value::Parts(Vec::new()));
    }
    config.set_integers(ENGINECFG_WORKSPACE_SIZE, &[0]);
    config.set_integers(ENGINECFG_SHARED_MEMORY_USED, &[0]);
    config.finalized = true;
    config
}

pub(crate) unsafe fn cudnnBackendGetAttribute(
    descriptor: *mut c_void,
    name: u32,
    kind: u32,
    requested: i64,
    count: *mut c_void,
    elements: *mut c_void,
) -> Result {
    require((0..=MOST).contains(&requested))?;
    let count = count.cast::<i64>();
    let held = get::<Descriptor>(descriptor)?;
    if !held.finalized && held.kind != TENSOR {
        return Err(Status::BAD_PARAM_NOT_FINALIZED);
    }
    if (held.kind, name) == (OPERATIONGRAPH, OPERATIONGRAPH_ENGINE_GLOBAL_COUNT) {
        let engines = held
            .graph
            .as_ref()
            .is_some_and(|graph| graph.supported().is_ok());
        // SAFETY: the caller keeps the contract of the C function.
        unsafe {
            put(count, 1);
            if requested > 0 {
                put(elements.cast::<i64>(), i64::from(engines));
            }
        }
        return Ok(());
    }
    match held.values.get(&name).ok_or(Status::NOT_SUPPORTED)? {
        Value::Parts(parts) => {
            if kind != TYPE_DESCRIPTOR {
                return Err(Status::BAD_PARAM_ATTRIBUTE_TYPE);
            }
            // SAFETY: the caller keeps the contract of the C function.
            unsafe { put(count, parts.len() as i64) };
            if elements.is_null() {
                return Ok(());
            }
            for (at, part) in parts.iter().enumerate().take(requested as usize) {
                // The program made descriptors, whose contents become the part's.
                // SAFETY: as above: room for as many as were requested.
                let target = unsafe { elements.cast::<*mut c_void>().add(at).read_unaligned() };
                with(target, |target: &mut Descriptor| {
                    require(target.kind == part.kind)?;
                    *target = (**part).clone();
                    Ok(())
                })?;
            }
        }
        Value::Plain { kind: held, bytes } => {
            let width = size(*held)?;
            if size(kind)? != width {
                return Err(Status::BAD_PARAM_ATTRIBUTE_TYPE);
            }
            let written = (bytes.len() / width).min(requested as usize);
            // SAFETY: the caller keeps the contract of the C function: room for as many as were requested.
            unsafe {
                put(count, (bytes.len() / width) as i64);
                if !elements.is_null() {
                    std::ptr::copy_nonoverlapping(bytes.as_ptr(), elements.cast(), written * width);
                }
            }
        }
    }
    Ok(())
}

pub(crate) unsafe fn cudnnBackendExecute(
    handle: *mut c_void,
    plan: *mut c_void,
    pack: *mut c_void,
) -> Result {
    let context = get::<Context>(handle)?;
    let (plan, pack) = (get::<Descriptor>(plan)?, get::<Descriptor>(pack)?);
    require(plan.kind == EXECUTION_PLAN && pack.kind == VARIANT_PACK)?;
    if !plan.finalized || !pack.finalized {
        return Err(Status::BAD_PARAM_NOT_FINALIZED);
    }
    let graph = plan.graph.ok_or(Status::BAD_PARAM)?;
    let ids = pack.integers(VARIANT_PACK_UNIQUE_IDS);
    let pointers = pack.integers(VARIANT_PACK_DATA_POINTERS);
    let pointers = pointers
        .into_iter()
        .map(|address| std::ptr::with_exposed_provenance(address as usize));
    // SAFETY: the caller keeps the contract of the C function: values that tensors hold are where it says.
    unsafe { run::submit(context, &graph, &ids.into_iter().zip(pointers).collect()) }
}
