//! What the figures were measured on.

use std::fs;

use anyhow::{Context, Result};
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

/// Processor time so far, in the system's ticks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticks {
    /// Of this process and of those that it started and that have ended.
    own: u64,
    /// Of everybody, and what a hypervisor gave to others.
    busy: u64,
    all: u64,
}

impl Ticks {
    /// Those of now.
    pub(crate) fn now() -> Result<Self> {
        let all = fs::read_to_string("/proc/stat")?;
        let own = fs::read_to_string("/proc/self/stat")?;
        Ticks::read(&all, &own).context("the system's processor times are not as expected")
    }

    /// Reads them from `/proc/stat` and a process's own `stat`.
    fn read(all: &str, own: &str) -> Option<Self> {
        let ticks: Vec<u64> = all
            .lines()
            .next()?
            .split_whitespace()
            .skip(1)
            .take(8)
            .map_while(|number| number.parse().ok())
            .collect();
        let [_user, _nice, _system, idle, waiting, ..] = ticks[..] else {
            return None;
        };
        let total: u64 = ticks.iter().sum();
        // What follows the name, which stands in brackets, begins with the third field; user and system time, own and of
        // children, are fields 14 to 17.
        let (_, fields) = own.rsplit_once(')')?;
        let own = fields
            .split_whitespace()
            .skip(11)
            .take(4)
            .map(|number| number.parse::<u64>().ok())
            .sum::<Option<u64>>()?;
        Some(Ticks {
            own,
            busy: total - idle - waiting,
            all: total,
        })
    }

    /// The part of all processors' time that went to others since `earlier`: figures mean little if that is much.
    pub(crate) fn disturbance_since(&self, earlier: &Ticks) -> f64 {
        let own = self.own - earlier.own;
        let others = (self.busy - earlier.busy).saturating_sub(own);
        others as f64 / (self.all - earlier.all).max(1) as f64
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "what cannot be had fails the test")]
mod tests {
    use super::*;

    #[test]
    fn others_are_all_who_are_busy_but_this_process_and_its_children() {
        let at = |user, idle, own| {
            let all = format!("cpu  {user} 0 100 {idle} 50 0 0 0 0 0\ncpu0 1 2 3\n");
            let own = format!("7 (a ) name) S 1 7 7 0 -1 0 0 0 0 0 {own} 5 20 5 20 0");
            Ticks::read(&all, &own).unwrap()
        };
        let (before, after) = (at(1000, 5000, 100), at(1100, 5100, 160));
        assert!((after.disturbance_since(&before) - 0.2).abs() < 1e-9);
    }

    #[test]
    fn the_system_says_what_is_asked_of_it() {
        let before = Ticks::now().unwrap();
        let disturbance = Ticks::now().unwrap().disturbance_since(&before);
        assert!((0.0..=1.0).contains(&disturbance), "{disturbance}");
    }
}
