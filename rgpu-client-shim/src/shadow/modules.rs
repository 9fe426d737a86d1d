//! Modules, libraries, their kernels and functions, from the snapshots that came with them.

use std::collections::{BTreeMap, HashMap};
use std::ffi::CString;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex};

use rgpu_proto::msg::module::{KernelInfo, Load, LoadAs};
use rgpu_proto::opcode::Opcode;
use rgpu_proto::wire::{self, Decode, Reader};

use crate::names::Hold;

/// `CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK`.
const MAX_THREADS: u32 = 0;
/// `CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES`.
const SHARED_SIZE: u32 = 1;
/// `CU_FUNC_ATTRIBUTE_NUM_REGS`.
const REGISTERS: u32 = 4;
/// `CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES`.
const MAX_DYNAMIC_SHARED: u32 = 8;

const FUNCTION_GET: Opcode = Opcode::of("cuFuncGetAttribute");
const FUNCTION_SET: Opcode = Opcode::of("cuFuncSetAttribute");
const KERNEL_GET: Opcode = Opcode::of("cuKernelGetAttribute");
const KERNEL_SET: Opcode = Opcode::of("cuKernelSetAttribute");

/// Calls whose answer depends on their arguments and on the attributes of a kernel only.
const CONSTANT: [Opcode; 3] = [
    Opcode::of("cuOccupancyAvailableDynamicSMemPerBlock"),
    Opcode::of("cuOccupancyMaxActiveBlocksPerMultiprocessor"),
    Opcode::of("cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags"),
];

/// How many answers are kept.
const MOST_ANSWERS: usize = 4096;

/// The first words of a derived call's body: its parameters in the order of the row.
pub(crate) fn words<const N: usize>(body: &[u8]) -> [u32; N] {
    Decode::decode(&mut Reader::new(body)).unwrap_or([0; N])
}

/// What is known of a kernel.
#[derive(Debug)]
pub(crate) struct Kernel {
    /// Name.
    pub(crate) name: CString,
    /// Offset and size of each parameter.
    pub(crate) params: Vec<(usize, usize)>,
    /// Bytes of all parameters.
    pub(crate) params_size: usize,
    /// Threads of a block at most.
    pub(crate) max_threads: i32,
    /// Registers of a thread.
    pub(crate) registers: i32,
    /// Bytes of static shared memory.
    pub(crate) shared: i32,
    /// Bytes of dynamic shared memory at most; the application may raise it.
    max_dynamic_shared: AtomicI32,
    /// All attributes, as of the snapshot or as set since.
    attributes: Mutex<BTreeMap<u32, i32>>,
}

impl Kernel {
    fn new(info: &KernelInfo) -> Option<Self> {
        let attributes: BTreeMap<u32, i32> = info.attributes.iter().copied().collect();
        let attribute = |which, otherwise| attributes.get(&which).copied().unwrap_or(otherwise);
        let params: Vec<_> = info
            .params
            .iter()
            .map(|(at, size)| (*at as usize, *size as usize))
            .collect();
        let params_size = params.iter().map(|(at, size)| at + size).max().unwrap_or(0);
        if params_size > rgpu_proto::limits::MAX_PARAMS {
            return None;
        }
        Some(Self {
            name: CString::new(info.name.as_str()).ok()?,
            params,
            params_size,
            max_threads: attribute(MAX_THREADS, 1024),
            registers: attribute(REGISTERS, 0),
            shared: attribute(SHARED_SIZE, 0),
            max_dynamic_shared: AtomicI32::new(attribute(MAX_DYNAMIC_SHARED, 48 << 10)),
            attributes: Mutex::new(attributes),
        })
    }

    /// The value of an attribute, if it is known.
    fn attribute(&self, which: u32) -> Option<i32> {
        self.attributes.hold().get(&which).copied()
    }

    /// The application has set an attribute.
    fn set_attribute(&self, which: u32, value: i32) {
        if which == MAX_DYNAMIC_SHARED {
            self.max_dynamic_shared.store(value, Ordering::Relaxed);
        }
        self.attributes.hold().insert(which, value);
    }

    /// Bytes of dynamic shared memory that a launch may ask for.
    pub(crate) fn max_dynamic_shared(&self) -> i32 {
        self.max_dynamic_shared.load(Ordering::Relaxed)
    }
}

/// A module or library.
#[derive(Debug)]
pub(crate) struct Image {
    /// Its context; 0 for a library, which belongs to none.
    pub(crate) context: u32,
    /// Its kernels, in the order of the snapshot.
    pub(crate) kernels: Vec<Arc<Kernel>>,
    by_name: HashMap<CString, usize>,
    /// The function or kernel handles given out, by position.
    pub(crate) handles: BTreeMap<usize, u32>,
    /// Of a library: the module handle given out in each context.
    pub(crate) as_module: HashMap<u32, u32>,
    /// Of a library: NVIDIA's runtime loaded it.
    pub(crate) of_runtime: bool,
}

impl Image {
    /// An image with the kernels of a snapshot; `None` where the snapshot makes no sense.
    pub(crate) fn new(context: u32, kernels: &[KernelInfo]) -> Option<Self> {
        let kernels: Vec<_> = kernels
            .iter()
            .map(|info| Kernel::new(info).map(Arc::new))
            .collect::<Option<_>>()?;
        let by_name = kernels
            .iter()
            .enumerate()
            .map(|(at, k)| (k.name.clone(), at))
            .collect();
        Some(Self {
            context,
            kernels,
            by_name,
            handles: BTreeMap::new(),
            as_module: HashMap::new(),
            of_runtime: false,
        })
    }

    /// The same kernels as a module of their own, for a library in a context.
    pub(crate) fn in_context(&self, context: u32) -> Self {
        Self {
            context,
            kernels: self.kernels.clone(),
            by_name: self.by_name.clone(),
            handles: BTreeMap::new(),
            as_module: HashMap::new(),
            of_runtime: false,
        }
    }

    /// The position of the kernel called `name`.
    pub(crate) fn find(&self, name: &std::ffi::CStr) -> Option<usize> {
        self.by_name.get(name).copied()
    }
}

/// A `CUfunction`.
#[derive(Debug, Clone)]
pub(crate) struct Function {
    /// What it runs.
    pub(crate) kernel: Arc<Kernel>,
    /// The module it came from, or 0 where it came from a library's kernel.
    pub(crate) module: u32,
    /// The kernel handle it came from, or 0.
    pub(crate) of_kernel: u32,
    /// In which context.
    pub(crate) context: u32,
}

/// A `CUkernel`.
#[derive(Debug, Clone)]
pub(crate) struct LibraryKernel {
    /// What it runs.
    pub(crate) kernel: Arc<Kernel>,
    /// Its library.
    pub(crate) library: u32,
    /// NVIDIA's runtime loaded it.
    pub(crate) of_runtime: bool,
    /// The function handle of each context.
    pub(crate) functions: HashMap<u32, u32>,
}

/// An image, and how it was loaded: what its snapshot depends on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct LoadedAs {
    hash: [u8; 32],
    library: bool,
    options: Vec<(u32, u64)>,
}

impl LoadedAs {
    pub(crate) fn of(load: &Load) -> Self {
        Self {
            hash: load.hash,
            library: load.load_as == LoadAs::Library,
            options: load.options.clone(),
        }
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Modules {
    /// Modules by id.
    pub(crate) modules: HashMap<u32, Image>,
    /// Libraries by id.
    pub(crate) libraries: HashMap<u32, Image>,
    /// Functions by id.
    pub(crate) functions: HashMap<u32, Function>,
    /// Kernels by id.
    pub(crate) kernels: HashMap<u32, LibraryKernel>,
    /// Answers that stay true until an attribute is set, by operation and body of the call.
    answers: HashMap<(u16, Vec<u8>), Vec<u8>>,
    /// What came with images that were loaded once.
    snapshots: HashMap<LoadedAs, Arc<[KernelInfo]>>,
}

impl Modules {
    /// What came with an image that was loaded before. One device and one driver serve a session: it would come again.
    pub(crate) fn snapshot(&self, image: &LoadedAs) -> Option<Arc<[KernelInfo]>> {
        self.snapshots.get(image).cloned()
    }

    /// Keeps what came with an image.
    pub(crate) fn keep_snapshot(&mut self, image: LoadedAs, kernels: &Arc<[KernelInfo]>) {
        if self.snapshots.len() >= MOST_ANSWERS {
            self.snapshots.clear();
        }
        self.snapshots.insert(image, Arc::clone(kernels));
    }

    /// The answer to a derived call, where it is known.
    pub(crate) fn known_answer(&self, op: Opcode, body: &[u8]) -> Option<Vec<u8>> {
        let kernel_and_attribute = match op {
            FUNCTION_GET => {
                let [attribute, id] = words(body);
                Some((self.kernel_of_function(id), attribute))
            }
            KERNEL_GET => {
                let [attribute, id] = words(body);
                Some((
                    self.kernels.get(&id).map(|kernel| &kernel.kernel),
                    attribute,
                ))
            }
            _ => None,
        };
        if let Some((kernel, attribute)) = kernel_and_attribute {
            return kernel?
                .attribute(attribute)
                .map(|value| wire::to_bytes(&value));
        }
        if !CONSTANT.contains(&op) {
            return None;
        }
        self.answers.get(&(op.0, body.to_vec())).cloned()
    }

    /// Learns from a derived call that has succeeded.
    pub(crate) fn observe(&mut self, op: Opcode, body: &[u8], answer: &[u8]) {
        let set = match op {
            FUNCTION_SET => {
                let [id, attribute, value] = words(body);
                self.kernel_of_function(id)
                    .map(|kernel| (kernel, attribute, value))
            }
            KERNEL_SET => {
                let [attribute, value, id] = words(body);
                let kernel = self.kernels.get(&id);
                kernel.map(|kernel| (&kernel.kernel, attribute, value))
            }
            _ => None,
        };
        if let Some((kernel, attribute, value)) = set {
            kernel.set_attribute(attribute, value as i32);
            self.answers.clear();
        } else if CONSTANT.contains(&op) {
            if self.answers.len() >= MOST_ANSWERS {
                self.answers.clear();
            }
            self.answers.insert((op.0, body.to_vec()), answer.to_vec());
        }
    }

    /// Threads of a block of a function at most.
    pub(crate) fn max_threads(&self, function: u32) -> Option<i32> {
        self.kernel_of_function(function)
            .map(|kernel| kernel.max_threads)
    }

    fn kernel_of_function(&self, id: u32) -> Option<&Arc<Kernel>> {
        self.functions.get(&id).map(|function| &function.kernel)
    }

    /// Forgets a module and its functions.
    pub(crate) fn unload_module(&mut self, id: u32) -> bool {
        self.functions.retain(|_, function| function.module != id);
        self.modules.remove(&id).is_some()
    }

    /// Forgets a library, its kernels, their functions and its modules.
    pub(crate) fn unload_library(&mut self, id: u32) -> bool {
        let Some(image) = self.libraries.remove(&id) else {
            return false;
        };
        for module in image.as_module.values() {
            self.unload_module(*module);
        }
        let dead: Vec<u32> = self
            .kernels
            .extract_if(|_, kernel| kernel.library == id)
            .map(|(id, _)| id)
            .collect();
        self.functions
            .retain(|_, function| !dead.contains(&function.of_kernel));
        true
    }

    /// Forgets what belongs to a context that is gone; libraries stay.
    pub(crate) fn forget_context(&mut self, context: u32) {
        self.modules.retain(|_, image| image.context != context);
        self.functions
            .retain(|_, function| function.context != context);
        for library in self.libraries.values_mut() {
            library.as_module.remove(&context);
        }
        for kernel in self.kernels.values_mut() {
            kernel.functions.remove(&context);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rgpu_proto::wire;

    fn image() -> Image {
        let kernels = ["one", "two"].map(|name| KernelInfo {
            name: name.into(),
            params: vec![(0, 8), (8, 4)],
            attributes: vec![(MAX_THREADS, 256), (MAX_DYNAMIC_SHARED, 1000)],
        });
        Image::new(1, &kernels).unwrap()
    }

    #[test]
    fn kernels_are_found_by_name() {
        let image = image();
        assert_eq!(image.find(c"two"), Some(1));
        assert_eq!(image.find(c"three"), None);
        assert_eq!(
            (image.kernels[0].params_size, image.kernels[0].max_threads),
            (12, 256)
        );
    }

    #[test]
    fn a_raised_limit_is_noticed() {
        let mut modules = Modules::default();
        let kernel = Arc::clone(&image().kernels[0]);
        let function = Function {
            kernel: Arc::clone(&kernel),
            module: 20,
            of_kernel: 0,
            context: 1,
        };
        modules.functions.insert(21, function);
        let body = wire::to_bytes(&[21_u32, MAX_DYNAMIC_SHARED, 60_000]);
        modules.observe(FUNCTION_SET, &body, &[]);
        assert_eq!(kernel.max_dynamic_shared(), 60_000);
        let body = wire::to_bytes(&[MAX_DYNAMIC_SHARED, 21_u32]);
        let answer = modules.known_answer(FUNCTION_GET, &body);
        assert_eq!(answer, Some(wire::to_bytes(&60_000_i32)));
        let body = wire::to_bytes(&[77_u32, 21]);
        assert_eq!(modules.known_answer(FUNCTION_GET, &body), None);
    }

    #[test]
    fn constant_answers_are_kept_until_something_is_set() {
        let mut modules = Modules::default();
        let kernel = Arc::clone(&image().kernels[0]);
        let function = Function {
            kernel,
            module: 20,
            of_kernel: 0,
            context: 1,
        };
        modules.functions.insert(21, function);
        modules.observe(CONSTANT[1], &[1, 2], &[3]);
        assert_eq!(modules.known_answer(CONSTANT[1], &[1, 2]), Some(vec![3]));
        assert_eq!(modules.known_answer(CONSTANT[1], &[1, 3]), None);
        modules.observe(FUNCTION_SET, &wire::to_bytes(&[21_u32, 9, 1]), &[]);
        assert_eq!(modules.known_answer(CONSTANT[1], &[1, 2]), None);
    }

    #[test]
    fn a_snapshot_is_of_an_image_and_how_it_was_loaded() {
        let load = |load_as, options: &[(u32, u64)]| {
            LoadedAs::of(&Load {
                load_as,
                id: 20,
                hash: [7; 32],
                size: 1,
                inline: true,
                options: options.to_vec(),
            })
        };
        let mut modules = Modules::default();
        let kernels: Arc<[KernelInfo]> = Arc::new([]);
        modules.keep_snapshot(load(LoadAs::Module, &[]), &kernels);
        assert_eq!(modules.snapshot(&load(LoadAs::Module, &[])), Some(kernels));
        assert_eq!(modules.snapshot(&load(LoadAs::Library, &[])), None);
        assert_eq!(modules.snapshot(&load(LoadAs::Module, &[(0, 32)])), None);
    }

    #[test]
    fn unloading_takes_the_functions_along() {
        let mut modules = Modules::default();
        let kernel = Arc::clone(&image().kernels[0]);
        modules.libraries.insert(30, image());
        let entry = LibraryKernel {
            kernel: Arc::clone(&kernel),
            library: 30,
            of_runtime: false,
            functions: HashMap::from([(1, 32)]),
        };
        modules.kernels.insert(31, entry);
        modules.functions.insert(
            32,
            Function {
                kernel,
                module: 0,
                of_kernel: 31,
                context: 1,
            },
        );
        assert!(modules.unload_library(30) && !modules.unload_library(30));
        assert!(modules.kernels.is_empty() && modules.functions.is_empty());
    }
}
