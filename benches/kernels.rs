//! The kernels of `rgpu bench softgpu`: their texts, their data and their launches.

/// A parameter of a kernel.
#[derive(Debug, Clone, Copy)]
pub enum Arg {
    /// The address of a buffer.
    Buffer(usize),
    /// A `.u32`.
    U32(u32),
    /// A `.f32`.
    F32(f32),
}

/// One launch.
#[derive(Debug, Clone)]
pub struct Launch {
    /// Blocks in x and y.
    pub grid: [u32; 2],
    /// Threads of a block in x and y.
    pub block: [u32; 2],
    /// What the kernel gets.
    pub args: Vec<Arg>,
}

/// How results of both sides may differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Words, equal.
    Words,
    /// Floats: multiplications and additions are fused on one side only.
    Floats,
}

/// One kernel with its data.
#[derive(Debug, Clone)]
pub struct Case {
    /// The kernel and its C function.
    pub texts: Texts,
    /// What a run does, for the table.
    pub what: &'static str,
    /// What the buffers hold at first.
    pub buffers: Vec<Vec<u8>>,
    /// Which buffer holds the result.
    pub result: usize,
    /// What that is.
    pub kind: Kind,
    /// The launches of a round.
    pub launches: Vec<Launch>,
    /// Rounds of a run.
    pub rounds: u32,
}

/// Names of all kernels, in the order of the table.
pub const NAMES: [&str; TEXTS.len()] = {
    let mut names = [""; TEXTS.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = TEXTS[at].name;
        at += 1;
    }
    names
};

/// A kernel as PTX, and what it is compared with.
#[derive(Debug, Clone, Copy)]
pub struct Texts {
    /// The kernel's name, and its C function's.
    pub name: &'static str,
    /// For the software GPU.
    pub ptx: &'static str,
    /// For gcc.
    pub c: &'static str,
}

/// The texts of a kernel in the folder `kernels`.
macro_rules! texts {
    ($name:literal) => {
        Texts {
            name: $name,
            ptx: include_str!(concat!("kernels/", $name, ".ptx")),
            c: include_str!(concat!("kernels/", $name, ".c")),
        }
    };
}

/// The texts of all kernels.
pub const TEXTS: [Texts; 7] = [SAXPY, REDUCTION, MATMUL, STENCIL, HISTOGRAM, NBODY, SCAN];

const SAXPY: Texts = texts!("saxpy");
const REDUCTION: Texts = texts!("reduction");
const MATMUL: Texts = texts!("matmul");
const STENCIL: Texts = texts!("stencil");
const HISTOGRAM: Texts = texts!("histogram");
const NBODY: Texts = texts!("nbody");
const SCAN: Texts = texts!("scan");

/// The kernel of this name.
pub fn case(name: &str) -> Option<Case> {
    Some(match name {
        "saxpy" => saxpy(),
        "reduction" => reduction(),
        "matmul" => matmul(),
        "stencil" => stencil(),
        "histogram" => histogram(),
        "nbody" => nbody(),
        "scan" => scan(),
        _ => return None,
    })
}

fn new(texts: Texts, what: &'static str, kind: Kind) -> Case {
    Case {
        texts,
        what,
        buffers: Vec::new(),
        result: 0,
        kind,
        launches: Vec::new(),
        rounds: 1,
    }
}

fn saxpy() -> Case {
    const COUNT: u32 = 1 << 20;
    Case {
        buffers: vec![floats(COUNT, 1), floats(COUNT, 2)],
        result: 1,
        launches: vec![Launch {
            grid: [COUNT / 256, 1],
            block: [256, 1],
            args: vec![
                Arg::U32(COUNT),
                Arg::F32(0.5),
                Arg::Buffer(0),
                Arg::Buffer(1),
            ],
        }],
        rounds: 32,
        ..new(SAXPY, "2^20 elements, 32 launches", Kind::Floats)
    }
}

fn reduction() -> Case {
    const COUNT: u32 = 1 << 22;
    const OF_BLOCK: u32 = 256 * 8;
    let launch = |grid, from, to| Launch {
        grid: [grid, 1],
        block: [256, 1],
        args: vec![Arg::Buffer(from), Arg::Buffer(to)],
    };
    Case {
        buffers: vec![
            floats(COUNT, 3),
            vec![0; 4 * (COUNT / OF_BLOCK) as usize],
            vec![0; 4],
        ],
        result: 2,
        launches: vec![
            launch(COUNT / OF_BLOCK, 0, 1),
            launch(COUNT / OF_BLOCK / OF_BLOCK, 1, 2),
        ],
        rounds: 16,
        ..new(
            REDUCTION,
            "2^22 elements, 8 for a thread, blocks of 256; 32 launches",
            Kind::Floats,
        )
    }
}

fn matmul() -> Case {
    const SIDE: u32 = 1024;
    Case {
        buffers: vec![
            floats(SIDE * SIDE, 4),
            floats(SIDE * SIDE, 5),
            vec![0; 4 * (SIDE * SIDE) as usize],
        ],
        result: 2,
        launches: vec![Launch {
            grid: [SIDE / 16; 2],
            block: [16; 2],
            args: vec![
                Arg::U32(SIDE),
                Arg::Buffer(0),
                Arg::Buffer(1),
                Arg::Buffer(2),
            ],
        }],
        ..new(
            MATMUL,
            "1024 x 1024, tiles of 16 x 16; 1 launch",
            Kind::Floats,
        )
    }
}

fn stencil() -> Case {
    const SIDE: u32 = 1024;
    let launch = |from, to| Launch {
        grid: [SIDE / 32, SIDE / 8],
        block: [32, 8],
        args: vec![
            Arg::U32(SIDE),
            Arg::U32(SIDE),
            Arg::Buffer(from),
            Arg::Buffer(to),
        ],
    };
    let plane = floats(SIDE * SIDE, 6);
    Case {
        buffers: vec![plane.clone(), plane],
        launches: vec![launch(0, 1), launch(1, 0)],
        rounds: 10,
        ..new(
            STENCIL,
            "1024 x 1024, 5 points, blocks of 32 x 8; 20 launches",
            Kind::Floats,
        )
    }
}

fn histogram() -> Case {
    const COUNT: u32 = 1 << 23;
    Case {
        buffers: vec![words(COUNT / 4, 7), vec![0; 4 * 256]],
        result: 1,
        launches: vec![Launch {
            grid: [COUNT / (256 * 32), 1],
            block: [256, 1],
            args: vec![Arg::Buffer(0), Arg::Buffer(1)],
        }],
        rounds: 4,
        ..new(
            HISTOGRAM,
            "2^23 bytes, 256 bins, 32 bytes for a thread; 4 launches",
            Kind::Words,
        )
    }
}

fn nbody() -> Case {
    const COUNT: u32 = 4096;
    Case {
        buffers: vec![floats(COUNT * 4, 8), vec![0; 16 * COUNT as usize]],
        result: 1,
        launches: vec![Launch {
            grid: [COUNT / 256, 1],
            block: [256, 1],
            args: vec![Arg::U32(COUNT), Arg::Buffer(0), Arg::Buffer(1)],
        }],
        ..new(
            NBODY,
            "4096 bodies, all pairs, tiles of 256; 1 launch",
            Kind::Floats,
        )
    }
}

fn scan() -> Case {
    const COUNT: u32 = 1 << 20;
    Case {
        buffers: vec![words(COUNT, 9), vec![0; 4 * COUNT as usize]],
        result: 1,
        launches: vec![Launch {
            grid: [COUNT / 256, 1],
            block: [256, 1],
            args: vec![Arg::Buffer(0), Arg::Buffer(1)],
        }],
        rounds: 4,
        ..new(
            SCAN,
            "2^20 elements, 8 steps in blocks of 256; 4 launches",
            Kind::Words,
        )
    }
}

/// Numbers that look random, the same in every run.
fn random(seed: u64) -> impl Iterator<Item = u32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    std::iter::from_fn(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        Some((state >> 32) as u32)
    })
}

fn words(count: u32, seed: u64) -> Vec<u8> {
    let numbers = random(seed).take(count as usize);
    numbers.flat_map(u32::to_le_bytes).collect()
}

/// Floats from 0 up to 1.
fn floats(count: u32, seed: u64) -> Vec<u8> {
    let numbers = random(seed).take(count as usize);
    let unit = |bits: u32| (bits >> 8) as f32 / (1 << 24) as f32;
    numbers.flat_map(|bits| unit(bits).to_le_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_a_kernel_of_that_name() {
        for name in NAMES {
            let case = case(name).unwrap();
            assert_eq!(case.texts.name, name);
            assert!(case.texts.ptx.contains(&format!(".visible .entry {name}(")));
            assert!(case.result < case.buffers.len());
        }
        assert!(case("no such kernel").is_none());
    }
}
