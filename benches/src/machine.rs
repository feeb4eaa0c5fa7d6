//! What the figures were measured on.

use std::fs;

use serde::Serialize;

/// The machine and the build, as far as figures depend on them.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) kernel: String,
    /// Of the last minute, before the first round.
    pub(crate) load: String,
    pub(crate) optimised: bool,
}

impl Machine {
    /// This machine.
    pub(crate) fn here() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let unknown = || "unknown".to_owned();
        Machine {
            processor: read("/proc/cpuinfo")
                .lines()
                .find_map(|line| line.strip_prefix("model name"))
                .map_or_else(unknown, |rest| {
                    rest.trim_start_matches(['\t', ' ', ':']).to_owned()
                }),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            load: read("/proc/loadavg")
                .split(' ')
                .next()
                .map_or_else(unknown, str::to_owned),
            optimised: !cfg!(debug_assertions),
        }
    }
}
