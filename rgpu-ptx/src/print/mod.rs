//! The tree back to PTX text. What is printed parses to the same tree, names of registers, labels
//! and body variables apart: those are invented, so that dissolved scopes cannot clash.

mod body;

pub(crate) use body::{tokens as modifier_tokens, word};

use std::fmt::Write;

use crate::{
    ast::{
        Body, Directives, Function, FunctionKind, Init, Linkage, Param, ParamSpace, Reloc,
        RelocTarget, Variable,
    },
    error::Error,
    module::Module,
    types::ScalarType,
};

/// Prints a whole module; parses every body for it.
pub fn module(module: &Module) -> Result<String, Error> {
    let (major, minor) = module.version;
    let mut out = format!(".version {major}.{minor}\n");
    if !module.target.is_empty() {
        let _ = writeln!(out, ".target {}", module.target);
    }
    let _ = writeln!(out, ".address_size {}", module.address_size);
    // Declarations first: definitions may use what comes later.
    for function in &module.functions {
        header(&mut out, function);
        // The definition repeats the directives, and a kernel's declaration takes none.
        if function.body.is_none() {
            directives(&mut out, &function.directives);
        }
        out.push_str(";\n");
    }
    for item in &module.variables {
        variable(&mut out, Some(module), item, &item.name);
    }
    for function in module.functions.iter().filter(|f| f.body.is_some()) {
        let body = module.parse_body(function)?;
        out.push_str(&self::function(module, function, &body));
    }
    for function in &module.functions {
        if let Some(other) = function.alias_of {
            let _ = writeln!(
                out,
                ".alias {}, {};",
                function.name,
                module.functions[other.index()].name
            );
        }
    }
    Ok(out)
}

/// Prints one function with its body.
pub fn function(module: &Module, function: &Function, body: &Body) -> String {
    let mut out = String::new();
    header(&mut out, function);
    directives(&mut out, &function.directives);
    out.push_str("\n{\n");
    body::body(&mut out, module, function, body);
    out.push_str("}\n");
    out
}

const fn linkage(linkage: Linkage) -> &'static str {
    match linkage {
        Linkage::Internal => "",
        Linkage::Visible => ".visible ",
        Linkage::Weak => ".weak ",
        Linkage::Common => ".common ",
        Linkage::Extern => ".extern ",
    }
}

fn header(out: &mut String, function: &Function) {
    out.push_str(linkage(function.linkage));
    match function.kind {
        FunctionKind::Entry => out.push_str(".entry "),
        FunctionKind::Func => out.push_str(".func "),
    }
    if !function.returns.is_empty() {
        params(out, &function.returns);
        out.push(' ');
    }
    out.push_str(&function.name);
    params(out, &function.params);
}

fn params(out: &mut String, list: &[Param]) {
    out.push('(');
    for (i, param) in list.iter().enumerate() {
        if i > 0 {
            out.push_str(", ");
        }
        out.push_str(match param.space {
            ParamSpace::Param => ".param ",
            ParamSpace::Reg => ".reg ",
        });
        let natural = param.ty.size() * param.vec.map_or(1, |v| v.lanes() as u32);
        if param.align != natural {
            let _ = write!(out, ".align {} ", param.align);
        }
        if let Some(vec) = param.vec {
            let _ = write!(out, ".{vec} ");
        }
        let _ = write!(out, ".{} ", param.ty);
        if let Some(pointer) = param.pointer {
            out.push_str(".ptr ");
            if let Some(space) = pointer.space {
                let _ = write!(out, ".{space} ");
            }
            let _ = write!(out, ".align {} ", pointer.align);
        }
        out.push_str(&param.name);
        if let Some(count) = param.array {
            let _ = write!(out, "[{count}]");
        }
    }
    out.push(')');
}

fn directives(out: &mut String, d: &Directives) {
    let triples = [
        ("maxntid", d.maxntid),
        ("reqntid", d.reqntid),
        ("reqnctapercluster", d.reqnctapercluster),
    ];
    for (name, value) in triples {
        if let Some([x, y, z]) = value {
            let _ = write!(out, " .{name} {x}, {y}, {z}");
        }
    }
    let numbers = [
        ("minnctapersm", d.minnctapersm),
        ("maxnctapersm", d.maxnctapersm),
        ("maxnreg", d.maxnreg),
        ("maxclusterrank", d.maxclusterrank),
    ];
    for (name, value) in numbers {
        if let Some(value) = value {
            let _ = write!(out, " .{name} {value}");
        }
    }
    let flags = [
        ("explicitcluster", d.explicitcluster),
        ("blocksareclusters", d.blocksareclusters),
        ("noreturn", d.noreturn),
    ];
    for (name, _) in flags.into_iter().filter(|f| f.1) {
        let _ = write!(out, " .{name}");
    }
    for text in &d.pragmas {
        let _ = write!(out, " .pragma \"{text}\";");
    }
}

/// A variable under `name`. Without a module it must not hold addresses.
fn variable(out: &mut String, module: Option<&Module>, variable: &Variable, name: &str) {
    out.push_str(linkage(variable.linkage));
    let _ = write!(out, ".{} ", variable.space);
    if variable.managed {
        out.push_str(".attribute(.managed) ");
    }
    let _ = write!(out, ".align {} ", variable.align);
    if let Some(vec) = variable.vec {
        let _ = write!(out, ".{vec} ");
    }
    let _ = write!(out, ".{} {name}", variable.ty);
    for (i, dim) in variable.dims.iter().enumerate() {
        match dim {
            0 if i == 0 => out.push_str("[]"),
            _ => {
                let _ = write!(out, "[{dim}]");
            }
        }
    }
    if let Some(init) = &variable.init {
        let list = !variable.dims.is_empty() || variable.vec.is_some();
        out.push_str(if list { " = {" } else { " = " });
        initial(out, module, variable.ty, init);
        out.push_str(if list { "}" } else { "" });
    }
    out.push_str(";\n");
}

/// The elements as one flat list.
fn initial(out: &mut String, module: Option<&Module>, ty: ScalarType, init: &Init) {
    let size = ty.size() as usize;
    let mut relocs: Vec<&Reloc> = init.relocs.iter().collect();
    relocs.sort_by_key(|r| r.offset);
    let mut relocs = relocs.into_iter().peekable();
    for (i, bytes) in init.bytes.chunks(size).enumerate() {
        if i > 0 {
            out.push_str(", ");
        }
        let at = (i * size) as u64;
        let reloc = relocs.next_if(|r| r.offset == at);
        if let (Some(reloc), Some(module)) = (reloc, module) {
            address(out, module, reloc);
            continue;
        }
        let mut word = [0; 8];
        let len = bytes.len().min(8);
        word[..len].copy_from_slice(&bytes[..len]);
        let bits = u64::from_le_bytes(word);
        let _ = match ty {
            ScalarType::F32 => write!(out, "0f{:08X}", bits as u32),
            ScalarType::F64 => write!(out, "0d{bits:016X}"),
            _ => write!(out, "{bits}"),
        };
    }
}

fn address(out: &mut String, module: &Module, reloc: &Reloc) {
    let name = match reloc.target {
        RelocTarget::Variable(id) => &module.variables[id.index()].name,
        RelocTarget::Function(id) => &module.functions[id.index()].name,
    };
    let symbol = if reloc.generic {
        format!("generic({name})")
    } else {
        name.clone()
    };
    let symbol = match reloc.addend {
        0 => symbol,
        addend => format!("{symbol}+{addend}"),
    };
    let _ = match reloc.width {
        1 => write!(out, "{:#x}({symbol})", 0xffu64 << reloc.shift),
        _ => write!(out, "{symbol}"),
    };
}
