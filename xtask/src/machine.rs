//! On what, with what and when something was measured.

use crate::workspace;
use serde_json::{Value, json};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

/// All that the figures depend on besides the code.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    pub(crate) threads: usize,
    pub(crate) date: String,
    /// The commit measured, with `+` behind it where files differ from it.
    pub(crate) commit: String,
    pub(crate) candle: String,
    /// Cores that other programs kept busy when the measurement began.
    pub(crate) load: Option<f64>,
}

impl Setting {
    pub(crate) fn of_this_machine(threads: usize) -> Self {
        Self {
            cpu: cpu(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            threads,
            date: date(SystemTime::now()),
            commit: commit().unwrap_or_else(|| "unknown".into()),
            candle: locked_version("candle-core").unwrap_or_else(|| "unknown".into()),
            load: load(),
        }
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({
            "machine": { "cpu": self.cpu, "cores": self.cores, "load_before": self.load },
            "threads": self.threads,
            "date": self.date,
            "versions": { "d2l": env!("CARGO_PKG_VERSION"), "commit": self.commit, "candle": self.candle },
        })
    }
}

fn cpu() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name"));
    model.map_or_else(
        || format!("{} processor", std::env::consts::ARCH),
        |model| model.trim_start_matches([' ', '\t', ':']).to_owned(),
    )
}

/// How many programs wanted a core in the last minute, on average, where the system tells.
pub(crate) fn load() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/loadavg").ok()?;
    text.split(' ').next()?.parse().ok()
}

fn commit() -> Option<String> {
    let git = |arguments: &[&str]| {
        let output = Command::new("git")
            .current_dir(workspace::root())
            .args(arguments)
            .output()
            .ok()?;
        let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
        output.status.success().then_some(text)
    };
    let commit = git(&["rev-parse", "--short", "HEAD"])?;
    let changed = git(&["status", "--porcelain", "--untracked-files=no"]).is_none_or(|text| !text.is_empty());
    Some(if changed { commit + "+" } else { commit })
}

/// The version of a package in Cargo.lock.
fn locked_version(package: &str) -> Option<String> {
    let lock = std::fs::read_to_string(workspace::root().join("Cargo.lock")).ok()?;
    let mut lines = lock
        .lines()
        .skip_while(|line| *line != format!("name = \"{package}\""));
    let version = lines.nth(1)?.strip_prefix("version = \"")?;
    Some(version.trim_end_matches('"').to_owned())
}

/// The day in UTC, as 2026-01-31.
fn date(now: SystemTime) -> String {
    let days = now
        .duration_since(UNIX_EPOCH)
        .map_or(0, |past| past.as_secs() / 86_400);
    // Years that begin with March, so that the leap day comes last; eras of 400 years have 146,097 days.
    let shifted = days + 719_468;
    let (era, day) = (shifted / 146_097, shifted % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + 400 * era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn days_become_dates() {
        let date = |days: u64| date(UNIX_EPOCH + Duration::from_secs(days * 86_400 + 86_399));
        assert_eq!(date(0), "1970-01-01");
        assert_eq!(date(11_016), "2000-02-29");
        assert_eq!(date(11_017), "2000-03-01");
        assert_eq!(date(20_088), "2024-12-31");
        assert_eq!(date(20_089), "2025-01-01");
    }

    #[test]
    fn the_lock_file_tells_versions() {
        assert_eq!(
            locked_version("xtask").as_deref(),
            Some(env!("CARGO_PKG_VERSION"))
        );
        assert_eq!(locked_version("no-such-package"), None);
    }
}
