//! Kernels made at random, run by blocks of many shapes and by a reference that takes one statement at a time for all
//! threads. What threads that run together do must not depend on who they run with.

#[path = "../support/mod.rs"]
mod support;

mod ast;
mod generate;
mod reference;
mod text;

use ast::{COUNTERS, INPUTS, Kernel, OUTPUTS};
use generate::Random;
use rgpu_softgpu_exec::exec::LaunchError;
use rgpu_softgpu_jit::Program;
use support::{Shape, TestDevice};

const KERNELS: u64 = 150;

/// Shapes with and without whole groups of threads, in one, two and three dimensions.
const BLOCKS: [[u32; 3]; 7] = [
    [64, 1, 1],
    [37, 1, 1],
    [1, 5, 1],
    [24, 3, 2],
    [19, 4, 1],
    [16, 2, 1],
    [7, 1, 3],
];

fn words(bytes: &[u8]) -> Vec<u32> {
    let (words, rest) = bytes.as_chunks::<4>();
    assert!(rest.is_empty());
    words.iter().map(|word| u32::from_le_bytes(*word)).collect()
}

fn bytes(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// What the kernel writes, and what it adds to the counters.
fn run(kernel: &Kernel, block: [u32; 3], grid: u32, input: &[u32], trust: bool) -> [Vec<u32>; 2] {
    let device = TestDevice::get();
    let text = text::of(kernel);
    let module = rgpu_ptx::Module::parse(text.as_str()).unwrap_or_else(|e| panic!("{e}\n{text}"));
    let program = Program::new(module, &device).unwrap();
    let threads = block.iter().product::<u32>() as usize;
    let out_size = threads * grid as usize * OUTPUTS * 4;
    let buffers = [
        device.upload(&bytes(input)),
        device.upload(&vec![0; out_size]),
        device.upload(&[0; 4 * COUNTERS]),
    ];
    let params: Vec<u8> = buffers.iter().flat_map(|a| a.to_le_bytes()).collect();
    let shape = Shape {
        grid: [grid, 1, 1],
        block,
        ..Shape::default()
    };
    let (result, _) = device.launch(&program, "k", &shape, &params, trust);
    result.unwrap_or_else(|e| panic!("{e}\n{text}"));
    let results = [
        words(&device.download(buffers[1], out_size)),
        words(&device.download(buffers[2], 4 * COUNTERS)),
    ];
    buffers.iter().for_each(|buffer| device.free(*buffer));
    results
}

#[test]
fn threads_do_the_same_together_and_one_by_one() {
    let mut input = Random::new(1);
    let input: Vec<u32> = (0..INPUTS).map(|_| input.word()).collect();
    for seed in 0..KERNELS {
        let kernel = generate::kernel(seed);
        let block = BLOCKS[(seed % BLOCKS.len() as u64) as usize];
        let expected = reference::run(&kernel, block, 2, &input);
        for trust in [true, false] {
            let found = run(&kernel, block, 2, &input, trust);
            assert_eq!(
                found,
                expected,
                "kernel {seed}, block {block:?}, trusting: {trust}\n{}",
                text::of(&kernel)
            );
        }
    }
}

/// The reference itself, on a kernel whose result is plain.
#[test]
fn the_reference_runs_what_is_written() {
    use ast::{Cond, Operand, Special, Statement};
    let body = vec![
        Statement::Add(0, Operand::Special(Special::TidX), Operand::Immediate(5)),
        Statement::If(
            Cond {
                op: "lt",
                left: Operand::Word(0),
                right: Operand::Immediate(7),
            },
            vec![Statement::Exchange(1, Operand::Word(0), 1)],
            vec![],
        ),
    ];
    let found = reference::run(
        &Kernel {
            ramps: [0; 2],
            body,
        },
        [2, 1, 1],
        1,
        &[0; INPUTS],
    );
    assert_eq!(found[0][..2], [5, 6]);
    assert_eq!([found[0][1], found[0][OUTPUTS + 1]], [6, 5]);
}

/// Of threads that run together, the one whose address is wild is named.
#[test]
fn a_fault_is_of_the_thread_that_made_it() {
    let device = TestDevice::get();
    for wild in ["268435456", "2"] {
        let text = format!(
            ".version 8.0\n.target sm_90\n.address_size 64\n.visible .entry k(.param .u64 out)\n{{\n\
             .reg .pred %p<2>; .reg .b32 %r<4>; .reg .b64 %a<4>;\n\
             ld.param.u64 %a0, [out]; mov.u32 %r0, %tid.x; setp.eq.u32 %p0, %r0, 5;\n\
             selp.u32 %r1, {wild}, 0, %p0; cvt.u64.u32 %a1, %r1; add.s64 %a2, %a0, %a1;\n\
             st.global.u32 [%a2], %r0; ret;\n}}\n"
        );
        let program = Program::new(rgpu_ptx::Module::parse(text.as_str()).unwrap(), &device);
        let program = program.unwrap();
        let buffer = device.upload(&[0; 64]);
        let shape = Shape {
            grid: [1; 3],
            block: [16, 2, 1],
            ..Shape::default()
        };
        for trust in [true, false] {
            let params = buffer.to_le_bytes();
            let (result, _) = device.launch(&program, "k", &shape, &params, trust);
            let Err(LaunchError::Fault(fault)) = result else {
                panic!("{result:?}");
            };
            assert_eq!(fault.thread, [5, 0, 0], "{wild}, trusting: {trust}");
        }
        device.free(buffer);
    }
}
