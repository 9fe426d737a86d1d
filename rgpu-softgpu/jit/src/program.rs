//! A loaded module: its variables, its kernels, and their code once compiled.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rgpu_ptx::Module;
use rgpu_ptx::ast::{FuncId, Function, FunctionKind};
use rgpu_ptx::types::StateSpace;
use rgpu_softgpu_exec::abi::Kernel;

use crate::cache::{Cache, Key};
use crate::compile::{self, Compiled, Machine};
use crate::dump::Dump;
use crate::error::Error;
use crate::globals::{self, Global, ModuleMemory};
use crate::made::Made;
use crate::object::Outside;
use crate::passes::bounds::Trust;
use crate::passes::needs::{self, Needs};
use crate::trampoline;

/// A parameter of a kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KernelParam {
    /// Where it lies in the parameter buffer.
    pub offset: u64,
    /// Bytes.
    pub size: u64,
    /// Alignment.
    pub align: u64,
}

/// What is known of a kernel before it is compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelInfo {
    /// Name in PTX.
    pub name: String,
    /// Parameters in order.
    pub params: Vec<KernelParam>,
    /// Bytes of all parameters.
    pub params_size: u64,
    /// `.maxntid`.
    pub max_threads: Option<[u32; 3]>,
    /// `.reqntid`.
    pub required_threads: Option<[u32; 3]>,
    /// `.minnctapersm`.
    pub min_blocks: Option<u32>,
    /// `.maxnreg`.
    pub max_registers: Option<u32>,
}

impl KernelInfo {
    fn new(function: &Function) -> Self {
        let params = function.params.iter().map(|param| KernelParam {
            offset: param.offset,
            size: param.size,
            align: u64::from(param.align),
        });
        Self {
            name: function.name.clone(),
            params: params.collect(),
            params_size: function.params_size(),
            max_threads: function.directives.maxntid,
            required_threads: function.directives.reqntid,
            min_blocks: function.directives.minnctapersm,
            max_registers: function.directives.maxnreg,
        }
    }
}

/// The place of a kernel's code: empty until it is first asked for, then the code or why there is none.
type Slot = OnceLock<Result<Arc<Kernel>, Arc<Error>>>;

/// A loaded module.
pub struct Program {
    module: Arc<Module>,
    addresses: Vec<Option<u64>>,
    machine: &'static Machine,
    kernels: Vec<KernelInfo>,
    compiled: Mutex<HashMap<(String, Trust), Arc<Slot>>>,
    needs: Mutex<HashMap<FuncId, Needs>>,
    cache: Option<Arc<Cache>>,
    made: Made,
    /// Hash of the text, once a key is asked for.
    hash: OnceLock<blake3::Hash>,
    counts: [AtomicUsize; 2],
}

/// Where the kernels of a program came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Compiled by this program.
    pub compiled: usize,
    /// Compiled before and found in the cache.
    pub cached: usize,
}

impl std::fmt::Debug for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Program")
            .field("kernels", &self.kernels.len())
            .finish_non_exhaustive()
    }
}

impl Program {
    /// Parses a module and places its variables in `memory`. Bodies are not looked at yet.
    pub fn load(text: &str, memory: &dyn ModuleMemory) -> Result<Self, Error> {
        Self::new(Module::parse(text)?, memory)
    }

    /// As [`Self::load`], of a module that is parsed already.
    pub fn new(module: impl Into<Arc<Module>>, memory: &dyn ModuleMemory) -> Result<Self, Error> {
        let module = module.into();
        let machine = Machine::get()?;
        let addresses = globals::load(&module, memory)?;
        let kernels = module.kernels().map(KernelInfo::new).collect();
        Ok(Self {
            module,
            addresses,
            machine,
            kernels,
            compiled: Mutex::new(HashMap::new()),
            needs: Mutex::new(HashMap::new()),
            cache: None,
            made: Made::default(),
            hash: OnceLock::new(),
            counts: Default::default(),
        })
    }

    /// Takes kernels from a cache, and keeps there what it compiles.
    #[must_use]
    pub fn cached_in(mut self, cache: Option<Arc<Cache>>) -> Self {
        self.cache = cache;
        self
    }

    /// How many kernels were compiled and how many were found so far.
    pub fn counts(&self) -> Counts {
        let [compiled, cached] = &self.counts;
        Counts {
            compiled: compiled.load(Ordering::Relaxed),
            cached: cached.load(Ordering::Relaxed),
        }
    }

    /// The kernels of the module, in the order of the text.
    pub fn kernels(&self) -> &[KernelInfo] {
        &self.kernels
    }

    /// The kernel of this name.
    pub fn kernel(&self, name: &str) -> Option<&KernelInfo> {
        self.kernels.iter().find(|kernel| kernel.name == name)
    }

    /// Device address and size of a module variable.
    pub fn global(&self, name: &str) -> Option<(u64, u64)> {
        self.globals()
            .find(|global| global.name == name)
            .map(|global| (global.address, global.size))
    }

    /// Every variable in device memory.
    pub fn globals(&self) -> impl Iterator<Item = Global> + '_ {
        self.module
            .variables
            .iter()
            .zip(&self.addresses)
            .filter_map(|(variable, address)| {
                address.map(|address| Global {
                    name: variable.name.clone(),
                    address,
                    size: variable.size,
                    is_const: variable.space == StateSpace::Const,
                })
            })
    }

    /// The code of a kernel, compiled at the first call. Kernels compile independently of each other. It may take for
    /// granted what [`Kernel::accepts`] says.
    pub fn compile(&self, name: &str) -> Result<Arc<Kernel>, Arc<Error>> {
        self.compile_with(name, Trust::Parameters)
    }

    /// The code of a kernel that is right for these parameters.
    pub fn compile_for(&self, name: &str, params: &[u8]) -> Result<Arc<Kernel>, Arc<Error>> {
        let kernel = self.compile(name)?;
        if kernel.accepts(params) {
            return Ok(kernel);
        }
        self.compile_checked(name)
    }

    /// The code of a kernel that takes nothing for granted.
    pub fn compile_checked(&self, name: &str) -> Result<Arc<Kernel>, Arc<Error>> {
        self.compile_with(name, Trust::Nothing)
    }

    /// What a kernel takes of a multiprocessor; compiles nothing.
    pub fn needs(&self, name: &str) -> Result<Needs, Arc<Error>> {
        let id = self.id(name)?;
        let mut needs = self.needs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = needs.get(&id) {
            return Ok(*found);
        }
        let found = needs::run(&self.module, id).map_err(Arc::new)?;
        needs.insert(id, found);
        Ok(found)
    }

    fn id(&self, name: &str) -> Result<FuncId, Arc<Error>> {
        let id = self.module.function_id(name);
        let is_kernel = |id: &FuncId| self.module.functions[id.index()].kind == FunctionKind::Entry;
        id.filter(is_kernel)
            .ok_or_else(|| Arc::new(Error::NoSuchKernel(name.to_owned())))
    }

    fn compile_with(&self, name: &str, trust: Trust) -> Result<Arc<Kernel>, Arc<Error>> {
        let id = self.id(name)?;
        let slot = {
            let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(compiled.entry((name.to_owned(), trust)).or_default())
        };
        let result =
            slot.get_or_init(|| self.make(name, id, trust).map(Arc::new).map_err(Arc::new));
        result.clone()
    }

    fn make(&self, name: &str, id: FuncId, trust: Trust) -> Result<Kernel, Error> {
        let isa = &self.machine.isa;
        let cache = self.cache.as_deref();
        let outside = Outside {
            variables: &self.addresses,
            trampoline: Some(trampoline::address(self.machine, cache)?),
        };
        let [compiled_count, cached_count] = &self.counts;
        let key = cache.map(|cache| (cache, self.key(name, trust)));
        // Who wants to see the stages wants them to happen.
        if let Some((cache, key)) = key.filter(|_| !Dump::is_on()) {
            // One that does not fit together is compiled anew, and overwritten.
            let found = cache.load::<Compiled>(&key);
            if let Some(Ok(kernel)) = found.map(|found| found.link(name, isa, outside)) {
                cached_count.fetch_add(1, Ordering::Relaxed);
                return Ok(kernel);
            }
        }
        let compiled = compile::kernel(&self.module, &self.addresses, isa, id, trust, &self.made)?;
        compiled_count.fetch_add(1, Ordering::Relaxed);
        if let Some((cache, key)) = key {
            cache.store(&key, &compiled);
        }
        compiled.link(name, isa, outside)
    }

    fn key(&self, name: &str, trust: Trust) -> Key {
        let hash = self
            .hash
            .get_or_init(|| blake3::hash(self.module.text.as_bytes()));
        let trusts: &[u8] = match trust {
            Trust::Parameters => &[1],
            Trust::Nothing => &[0],
        };
        self.machine
            .key(&[hash.as_bytes(), name.as_bytes(), trusts])
    }
}
