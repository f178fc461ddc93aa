//! Where the work is done: device, threads, and how much memory it took.

use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;

use candle_core::{Device, Tensor};
use candle_nn::ModuleT;
use d2l_nn::{
    Model,
    plan::{Inference, Mode},
};

use crate::failure::{Doing, Failure, Result};

/// What the user asked to compute on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeviceChoice {
    /// The best device of this build that the machine has.
    Auto,
    /// The processor.
    Cpu,
    /// The NVIDIA GPU of this number.
    Cuda(usize),
    /// Apple's GPU.
    Metal,
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            "metal" => Ok(Self::Metal),
            other => match other.strip_prefix("cuda:").map(str::parse) {
                Some(Ok(number)) => Ok(Self::Cuda(number)),
                _ => Err(format!(
                    "unknown device `{other}`: expected auto, cpu, cuda, cuda:N or metal"
                )),
            },
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(0) => f.write_str("cuda"),
            Self::Cuda(number) => write!(f, "cuda:{number}"),
            Self::Metal => f.write_str("metal"),
        }
    }
}

impl DeviceChoice {
    /// Refuses a device this build cannot use, naming the feature to build with.
    pub(crate) fn check(self) -> Result<()> {
        let missing = match self {
            Self::Cuda(_) if !cfg!(feature = "cuda") => Some("cuda"),
            Self::Metal if !cfg!(feature = "metal") => Some("metal"),
            _ => None,
        };
        match missing {
            None => Ok(()),
            Some(feature) => Err(Failure::work(format!(
                "--device {self}: this build of d2l has no {feature} support; \
                 build one with `cargo build --release --features {feature}`"
            ))),
        }
    }

    /// Opens the device.
    pub(crate) fn open(self) -> Result<Device> {
        self.check()?;
        match self {
            Self::Cpu => Ok(Device::Cpu),
            Self::Cuda(number) => Device::new_cuda(number).doing(|| format!("opening CUDA device {number}")),
            Self::Metal => Device::new_metal(0).doing(|| "opening the Metal device"),
            Self::Auto => Ok(best_device()),
        }
    }
}

/// What a step is computed through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Engine {
    /// A plan where the device is the processor, else autograd.
    #[default]
    Auto,
    /// Buffers laid out once, d2l's own forward and backward.
    Plan,
    /// candle's autograd.
    Autograd,
}

impl FromStr for Engine {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "plan" => Ok(Self::Plan),
            "autograd" => Ok(Self::Autograd),
            other => Err(format!(
                "unknown engine `{other}`: expected auto, plan or autograd"
            )),
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Plan => "plan",
            Self::Autograd => "autograd",
        })
    }
}

impl Engine {
    /// The engine for `model` on `device`, plan or autograd; with `auto`, the reason why a processor is not to plan.
    /// `heads` says that it trains with auxiliary classifiers.
    pub(crate) fn choose(
        self,
        model: &Model,
        heads: bool,
        device: &Device,
    ) -> Result<(Self, Option<String>)> {
        let refused = || {
            if heads {
                return Some("a plan has no auxiliary classifiers".to_owned());
            }
            model.check_plan(Mode::Train).err().map(|error| error.to_string())
        };
        match self {
            Self::Autograd => Ok((Self::Autograd, None)),
            Self::Plan if !device.is_cpu() => Err(Failure::usage(format!(
                "--engine plan runs on the processor only, not on {}",
                device_name(device)
            ))),
            Self::Auto if !device.is_cpu() => Ok((Self::Autograd, None)),
            Self::Plan | Self::Auto => match refused() {
                None => Ok((Self::Plan, None)),
                Some(why) if self == Self::Auto => Ok((Self::Autograd, Some(why))),
                Some(why) => Err(Failure::work(format!(
                    "--engine plan cannot run this network: {why}; `auto` and `autograd` can"
                ))),
            },
        }
    }
}

/// `model` for answers: through a plan where the device is the processor.
pub(crate) fn answering<'m>(model: &'m Model, device: &Device) -> Box<dyn ModuleT + 'm> {
    match device {
        Device::Cpu => Box::new(Inference::new(model)),
        _ => Box::new(Borrowed(model)),
    }
}

struct Borrowed<'m>(&'m Model);

impl ModuleT for Borrowed<'_> {
    fn forward_t(&self, xs: &Tensor, train: bool) -> candle_core::Result<Tensor> {
        self.0.forward_t(xs, train)
    }
}

/// The first GPU if this build can use one and there is one, else the processor.
fn best_device() -> Device {
    if cfg!(feature = "cuda")
        && let Ok(device) = Device::new_cuda(0)
    {
        return device;
    }
    if cfg!(feature = "metal")
        && let Ok(device) = Device::new_metal(0)
    {
        return device;
    }
    Device::Cpu
}

/// The device as `--device` would name it.
pub(crate) fn device_name(device: &Device) -> String {
    match device.location() {
        candle_core::DeviceLocation::Cpu => "cpu".to_owned(),
        candle_core::DeviceLocation::Cuda { gpu_id } => DeviceChoice::Cuda(gpu_id).to_string(),
        candle_core::DeviceLocation::Metal { .. } => "metal".to_owned(),
    }
}

/// What this program was built for, and how.
pub(crate) fn build_name() -> String {
    let profile = if cfg!(debug_assertions) { "dev" } else { "release" };
    format!("{}-{}, {profile}", std::env::consts::ARCH, std::env::consts::OS)
}

/// All the cores this process may use.
pub(crate) fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

/// Runs `work` on a pool of `threads` threads. The whole of it runs inside the pool, so that every kernel finds
/// its threads awake instead of waking them from outside.
pub(crate) fn in_pool<T: Send>(threads: usize, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|index| format!("d2l-{index}"))
        .build()
        .doing(|| format!("starting {threads} threads"))?;
    pool.install(work)
}

/// The memory that programs can still have, where the system tells.
pub(crate) fn free_memory_bytes() -> Option<u64> {
    let info = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = info.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// The most memory this process has held so far, where the system tells.
pub(crate) fn peak_memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::DType;
    use d2l_nn::{
        Network, ParamStore, Rng,
        layers::{Layer, Linear},
    };

    #[test]
    fn device_names_round_trip() {
        for name in ["auto", "cpu", "cuda", "cuda:3", "metal"] {
            assert_eq!(name.parse::<DeviceChoice>().unwrap().to_string(), name);
        }
        for name in ["gpu", "cuda:", "cuda:x", "cuda:-1", ""] {
            assert!(
                name.parse::<DeviceChoice>()
                    .unwrap_err()
                    .contains("expected auto"),
                "{name}"
            );
        }
    }

    #[test]
    fn auto_goes_through_autograd_where_a_plan_is_refused() {
        let twin = || Network::new("twin").add("linear", Linear::new(3));
        let shared = Network::new("twins").add("both", Layer::Branches(vec![twin(), twin()]));
        let params = ParamStore::new(DType::F32, &Device::Cpu);
        let shared = shared.build(&[4], &params, &Rng::new(1)).unwrap();
        let (engine, why) = Engine::Auto.choose(&shared, false, &Device::Cpu).unwrap();
        assert_eq!(engine, Engine::Autograd);
        assert!(
            why.unwrap()
                .contains("`both.twin.linear.weight` is used by more than one layer")
        );
        let Err(Failure::Work(error)) = Engine::Plan.choose(&shared, false, &Device::Cpu) else {
            panic!("a plan cannot do it")
        };
        assert!(error.to_string().contains("--engine plan cannot"), "{error}");
        assert_eq!(
            Engine::Autograd.choose(&shared, false, &Device::Cpu).unwrap(),
            (Engine::Autograd, None)
        );

        let params = ParamStore::new(DType::F32, &Device::Cpu);
        let plain = twin().build(&[4], &params, &Rng::new(1)).unwrap();
        for engine in [Engine::Auto, Engine::Plan] {
            assert_eq!(
                engine.choose(&plain, false, &Device::Cpu).unwrap(),
                (Engine::Plan, None)
            );
        }
        let (engine, why) = Engine::Auto.choose(&plain, true, &Device::Cpu).unwrap();
        assert!(engine == Engine::Autograd && why.unwrap().contains("auxiliary"));
        assert!(Engine::Plan.choose(&plain, true, &Device::Cpu).is_err());
    }

    #[test]
    fn engine_names_round_trip() {
        for name in ["auto", "plan", "autograd"] {
            assert_eq!(name.parse::<Engine>().unwrap().to_string(), name);
        }
        assert!(
            "fast"
                .parse::<Engine>()
                .unwrap_err()
                .contains("expected auto, plan or autograd")
        );
    }

    #[test]
    fn the_pool_has_the_threads_asked_for() {
        assert_eq!(in_pool(3, || Ok(rayon::current_num_threads())).unwrap(), 3);
    }
}
