//! From PTX addresses to host addresses. An access in the device window, in shared or in local memory is
//! checked with one comparison: rotating the offset right by log2 of the width moves the bits that must be
//! zero (misalignment) to the top, where they make it larger than any limit. What fails the check goes to
//! the host's `translate…`, which knows the other windows and reports the fault.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{
    Block, BlockArg, InstBuilder, StackSlotData, StackSlotKind, Value, types,
};
use rgpu_ptx::ast::{AddrBase, Address, Reg, Symbol};
use rgpu_ptx::types::StateSpace;
use rgpu_softgpu_exec::abi::{DEVICE_WINDOW_BASE, DEVICE_WINDOW_SIZE};

use super::Emitter;
use super::util::icmp_const;
use crate::error::{Emit, refuse};

/// Alignment that frames and shared memory themselves have.
const STATIC_ALIGN: u32 = 16;

/// A host address and an offset that the access instruction adds.
pub(crate) type Place = (Value, i32);

/// Which memory a failing access was meant for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Window {
    Shared,
    Local,
    Param,
}

impl Window {
    fn translate(self) -> &'static str {
        match self {
            Self::Shared => "translate_shared",
            Self::Local => "translate_local",
            Self::Param => "translate_param",
        }
    }
}

/// A kind of failing access; each has one block per function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Fault {
    window: Window,
    access: Access,
    /// Which thread of a group it was.
    lane: usize,
}

/// What is accessed, and whether it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Access {
    /// Bytes of the widest access; the address must be aligned to it.
    width: u32,
    /// Bytes of the whole range, which may hold several accesses.
    span: u32,
    write: bool,
}

impl Access {
    /// A load of `width` bytes, a power of two.
    pub(crate) fn load(width: u32) -> Self {
        Self {
            width,
            span: width,
            write: false,
        }
    }

    /// A store or an update.
    pub(crate) fn store(width: u32) -> Self {
        Self {
            write: true,
            ..Self::load(width)
        }
    }

    /// The same for several that follow each other.
    pub(crate) fn times(self, count: u32) -> Self {
        Self {
            span: self.span * count,
            ..self
        }
    }

    fn log2_width(self) -> i64 {
        i64::from(self.width.ilog2())
    }
}

impl Emitter<'_, '_> {
    /// Where an access goes. The access has been checked when this returns.
    pub(crate) fn place(
        &mut self,
        space: Option<StateSpace>,
        address: &Address,
        access: Access,
    ) -> Emit<Place> {
        match address.base {
            AddrBase::Symbol(symbol) => self.symbol_place(symbol, address.offset, access),
            AddrBase::Reg(reg) if self.needs_no_check() => {
                self.trusted_place(space, reg, address.offset)
            }
            AddrBase::Reg(reg) => match self.group_place(space, reg, address.offset)? {
                Some(place) => Ok(place),
                None => {
                    let value = self.reg_plus(reg, address.offset);
                    self.value_place(space, value, access)
                }
            },
            AddrBase::Absolute => {
                let value = self.b.ins().iconst(types::I64, address.offset);
                self.value_place(space, value, access)
            }
        }
    }

    /// Whether all that the current statement may access is in memory that it may, or in a guard.
    fn needs_no_check(&self) -> bool {
        self.at == 0 && self.unit.plan.bounds.unchecked.contains(&self.statement)
    }

    /// The place of an access that needs no check.
    fn trusted_place(&mut self, space: Option<StateSpace>, reg: Reg, offset: i64) -> Emit<Place> {
        let (base, distance) = match space {
            Some(StateSpace::Shared | StateSpace::SharedCluster) => {
                // Sums wrap at 32 bits, and shared memory ends long before half of that: a number read as signed is
                // right, and one too large is in the guard below.
                let value = self.reg(reg);
                let value = super::util::bits(&mut self.b, value);
                let wide = super::util::resize(&mut self.b, value, types::I64, true);
                (self.thread.shared, wide)
            }
            _ => (self.thread.global_delta, self.reg_wide(reg)),
        };
        let (distance, offset) = match i32::try_from(offset) {
            Ok(offset) => (distance, offset),
            Err(_) => (self.b.ins().iadd_imm_s(distance, offset), 0),
        };
        Ok((self.b.ins().iadd(base, distance), offset))
    }

    /// The place of an access that shares its check with others. The first of them makes the check.
    fn group_place(
        &mut self,
        space: Option<StateSpace>,
        reg: Reg,
        offset: i64,
    ) -> Emit<Option<Place>> {
        // Threads that run together part, and go on by themselves, in the middle of groups.
        if self.wide.is_some() {
            return Ok(None);
        }
        let groups = &self.unit.plan.groups[self.at];
        let Some(number) = groups.of_statement.get(&self.statement) else {
            return Ok(None);
        };
        let group = &groups.groups[*number];
        let within = small(offset - group.start)?;
        if let Some(start) = self.checked_groups.get(number) {
            return Ok(Some((*start, within)));
        }
        let address = self.reg_plus(reg, group.start);
        let access = Access {
            width: group.width,
            span: group.span,
            write: group.write,
        };
        let (start, _) = self.value_place(space, address, access)?;
        self.checked_groups.insert(*number, start);
        Ok(Some((start, within)))
    }

    /// The same for an address that is a value.
    pub(crate) fn value_place(
        &mut self,
        space: Option<StateSpace>,
        address: Value,
        access: Access,
    ) -> Emit<Place> {
        let host = match space {
            // Host memory that kernels may use has global addresses outside the device window.
            None | Some(StateSpace::Global | StateSpace::Const) => self.generic(address, access)?,
            Some(StateSpace::Shared | StateSpace::SharedCluster) => {
                let (base, size) = (self.thread.shared, self.thread.shared_size);
                self.windowed(Window::Shared, address, base, size, access)?
            }
            Some(StateSpace::Param) if self.function().is_kernel => {
                let (base, size) = (self.thread.params, self.thread.params_size);
                self.windowed(Window::Param, address, base, size, access)?
            }
            // The address of a function's parameter is one in local memory.
            Some(StateSpace::Local | StateSpace::Param) => {
                let (base, size) = (self.thread.local, self.thread.local_size);
                self.windowed(Window::Local, address, base, size, access)?
            }
            Some(other) => return refuse(format!("no memory access in .{other}")),
        };
        Ok((host, 0))
    }

    fn symbol_place(&mut self, symbol: Symbol, offset: i64, access: Access) -> Emit<Place> {
        match symbol {
            Symbol::Variable(id) => {
                let variable = &self.unit.module.variables[id.index()];
                let space = variable.space;
                let inside = within(offset, access.width, variable.size);
                if matches!(space, StateSpace::Shared | StateSpace::SharedCluster) {
                    let inside = inside && !variable.is_unsized();
                    return self.static_place(symbol, offset, inside, access);
                }
                let base = self.variable_address(id)?;
                // The variable itself is aligned to what its declaration says.
                let align = i64::from(access.width);
                let aligned = i64::from(variable.align) % align == 0 && offset % align == 0;
                if inside && aligned {
                    let host = self.b.ins().iadd(base, self.thread.global_delta);
                    return Ok((host, small(offset)?));
                }
                let value = self.b.ins().iadd_imm_s(base, offset);
                self.value_place(Some(StateSpace::Global), value, access)
            }
            Symbol::Local(id) => {
                let variable = &self.function().body.vars[id.index()];
                let inside = within(offset, access.width, variable.size);
                if let Some(slot) = self.slots.get(&id) {
                    if !inside {
                        return refuse(format!("access outside {}", variable.name));
                    }
                    let base = self.b.ins().stack_addr(types::I64, *slot, 0);
                    return Ok((base, small(offset)?));
                }
                let inside = inside && !variable.is_unsized();
                self.static_place(symbol, offset, inside, access)
            }
            Symbol::Param(n) => {
                let function = self.function();
                let Some(param) = function.params.get(n as usize) else {
                    return refuse("no such parameter");
                };
                if !within(offset, access.width, param.size) {
                    return refuse(format!("access outside parameter {}", param.name));
                }
                if function.is_kernel {
                    let at = param.offset.wrapping_add_signed(offset);
                    return Ok((self.thread.params, small(at.cast_signed())?));
                }
                if self.frame().params.contains_key(&n) {
                    return self.static_place(symbol, offset, true, access);
                }
                Ok((self.places[n as usize], small(offset)?))
            }
            Symbol::Return(n) => {
                let function = self.function();
                let Some(param) = function.returns.get(n as usize) else {
                    return refuse("no such return parameter");
                };
                if !within(offset, access.width, param.size) {
                    return refuse(format!("access outside {}", param.name));
                }
                Ok((
                    self.places[function.params.len() + n as usize],
                    small(offset)?,
                ))
            }
            Symbol::Function(_) => refuse("access to the bytes of a function"),
        }
    }

    /// An access at a known offset of a shared or local variable: unchecked if inside and aligned.
    fn static_place(
        &mut self,
        symbol: Symbol,
        offset: i64,
        inside: bool,
        access: Access,
    ) -> Emit<Place> {
        let space = self.symbol_space(symbol);
        let fixed = self.fixed_offset(symbol)?.cast_signed();
        // Variables are aligned to what their declaration says, which may be less than the access needs.
        let at = fixed + offset;
        if inside && access.width <= STATIC_ALIGN && at % i64::from(access.width) == 0 {
            let base = match space {
                StateSpace::Local => self.b.ins().iadd(self.thread.local, self.thread.frame),
                _ => self.thread.shared,
            };
            return Ok((base, small(at)?));
        }
        let address = self.symbol_address(symbol)?;
        let value = self.b.ins().iadd_imm_s(address, offset);
        self.value_place(Some(space), value, access)
    }

    /// The block that reports a failing access; its parameter is the address.
    fn fault_block(&mut self, fault: Fault) -> Emit<Block> {
        if let Some(block) = self.faults.get(&fault) {
            return Ok(*block);
        }
        let block = self.b.create_block();
        self.b.set_cold_block(block);
        self.b.append_block_param(block, types::I64);
        self.faults.insert(fault, block);
        Ok(block)
    }

    /// Fills the blocks that report failing accesses; called once, at the end.
    pub(crate) fn finish_faults(&mut self) -> Emit {
        let faults: Vec<_> = self.faults.drain().collect();
        for (fault, block) in faults {
            self.b.switch_to_block(block);
            let address = self.b.block_params(block)[0];
            // The first finds a bad start, the second a bad end.
            let Access { width, span, write } = fault.access;
            self.tell_lane(fault.lane);
            self.translate(fault.window, address, width, write)?;
            let last = self.b.ins().iadd_imm_u(address, i64::from(span) - 1);
            self.translate(fault.window, last, 1, write)?;
            self.unreachable();
        }
        Ok(())
    }

    fn translate(
        &mut self,
        window: Window,
        address: Value,
        width: u32,
        write: bool,
    ) -> Emit<Value> {
        let width = self.b.ins().iconst(types::I32, i64::from(width));
        let write = self.b.ins().iconst(types::I32, i64::from(write));
        self.libcall_value(
            window.translate(),
            &[self.thread.ctx, address, width, write],
        )
    }

    /// Goes on if `good`, else reports the access.
    fn require(&mut self, good: Value, window: Window, address: Value, access: Access) -> Emit {
        let lane = self.lane_together();
        let bad = self.fault_block(Fault {
            window,
            access,
            lane,
        })?;
        let next = self.b.create_block();
        self.b
            .ins()
            .brif(good, next, &[], bad, &[BlockArg::Value(address)]);
        self.b.switch_to_block(next);
        Ok(())
    }

    /// Whether an access lies in the device window and is aligned.
    fn in_device_window(&mut self, address: Value, access: Access) -> Value {
        let offset = self
            .b
            .ins()
            .iadd_imm_s(address, DEVICE_WINDOW_BASE.cast_signed().wrapping_neg());
        let shift = access.log2_width();
        let rotated = if shift == 0 {
            offset
        } else {
            self.b.ins().rotr_imm_u(offset, shift)
        };
        if access.span == access.width {
            let limit_bits = i64::from(DEVICE_WINDOW_SIZE.ilog2()) - shift;
            let above = self.b.ins().ushr_imm_u(rotated, limit_bits);
            return icmp_const(&mut self.b, IntCC::Equal, above, 0);
        }
        let last = (DEVICE_WINDOW_SIZE - u64::from(access.span)) >> shift;
        icmp_const(
            &mut self.b,
            IntCC::UnsignedLessThanOrEqual,
            rotated,
            last.cast_signed(),
        )
    }

    /// An address in the device window, or any other that the host can translate. What goes on is a device
    /// address again, so that the access can add the distance to the host in its addressing mode. The call
    /// preserves all registers: the values around a seldom used call must not live on the stack.
    fn generic(&mut self, address: Value, access: Access) -> Emit<Value> {
        let good = self.in_device_window(address, access);
        let slow = self.b.create_block();
        self.b.set_cold_block(slow);
        let next = self.b.create_block();
        let usable = self.b.append_block_param(next, types::I64);
        self.b
            .ins()
            .brif(good, next, &[BlockArg::Value(address)], slow, &[]);
        self.b.switch_to_block(slow);
        let lane = self.lane_together();
        self.tell_lane(lane);
        let host = self.translate_preserving(address, access)?;
        if lane != 0 {
            self.tell_index_of_first();
        }
        let back = self.b.ins().isub(host, self.thread.global_delta);
        self.b.ins().jump(next, &[BlockArg::Value(back)]);
        self.b.switch_to_block(next);
        Ok(self.b.ins().iadd(usable, self.thread.global_delta))
    }

    fn translate_preserving(&mut self, address: Value, access: Access) -> Emit<Value> {
        let slot = match self.translated {
            Some(slot) => slot,
            None => {
                let data = StackSlotData::new(StackSlotKind::ExplicitSlot, 8, 3);
                *self.translated.insert(self.b.create_sized_stack_slot(data))
            }
        };
        let width = self.b.ins().iconst(types::I32, i64::from(access.width));
        let last = self.b.ins().iadd_imm_u(address, i64::from(access.span) - 1);
        let write = self.b.ins().iconst(types::I32, i64::from(access.write));
        let result = self.b.ins().stack_addr(types::I64, slot, 0);
        let function = self.trampoline();
        self.b.ins().call(
            function,
            &[self.thread.ctx, address, width, last, write, result],
        );
        Ok(self.b.ins().stack_load(types::I64, types::I64, slot, 0))
    }

    /// The number of places, in units of the width, where a range may start in `size` bytes.
    fn first_too_high(&mut self, size: Value, access: Access) -> Value {
        let span = self.b.ins().iconst(types::I64, i64::from(access.span));
        let room = self.b.ins().isub(size, span);
        let places = self.b.ins().ushr_imm_u(room, access.log2_width());
        let places = self.b.ins().iadd_imm_u(places, 1);
        let fits = self
            .b
            .ins()
            .icmp(IntCC::UnsignedGreaterThanOrEqual, size, span);
        let none = self.b.ins().iconst(types::I64, 0);
        self.b.ins().select(fits, places, none)
    }

    fn windowed(
        &mut self,
        window: Window,
        offset: Value,
        base: Value,
        size: Value,
        access: Access,
    ) -> Emit<Value> {
        let shift = access.log2_width();
        let rotated = if shift == 0 {
            offset
        } else {
            self.b.ins().rotr_imm_u(offset, shift)
        };
        let limit = if access.span == access.width {
            self.b.ins().ushr_imm_u(size, shift)
        } else {
            self.first_too_high(size, access)
        };
        let good = self.b.ins().icmp(IntCC::UnsignedLessThan, rotated, limit);
        self.require(good, window, offset, access)?;
        Ok(self.b.ins().iadd(base, offset))
    }
}

/// True if an access of `width` bytes at `offset` stays in `size` bytes.
fn within(offset: i64, width: u32, size: u64) -> bool {
    u64::try_from(offset)
        .ok()
        .and_then(|offset| offset.checked_add(u64::from(width)))
        .is_some_and(|end| end <= size)
}

fn small(offset: i64) -> Emit<i32> {
    match i32::try_from(offset) {
        Ok(offset) => Ok(offset),
        Err(_) => refuse("offset too large"),
    }
}
