//! What may be said anew when a run goes on.

use crate::args::Settings;
use crate::config::table;
use crate::failure::{Failure, Result};

/// Settings that do not change what the run computes so far.
const MAY_CHANGE: &[&str] = &[
    "epochs",
    "engine",
    "threads",
    "workers",
    "device",
    "data-dir",
    "log-every",
    "checkpoint-every",
    "patience",
    "keep-last",
    "csv",
    "tensorboard",
];

/// The settings of a stopped run with what the flags say anew; flags that would make it another run are refused.
pub(crate) fn merge_for_resume(flags: Settings, stored: Settings) -> Result<Settings> {
    let before = table(&stored)?;
    let mut messages = Vec::new();
    for (key, value) in table(&flags)? {
        let same = before.get(&key) == Some(&value);
        if same || MAY_CHANGE.contains(&key.as_str()) {
            continue;
        }
        let was = before
            .get(&key)
            .map_or("not set".to_owned(), |value| format!("`{value}`"));
        let name = if key == "model" {
            "the model".to_owned()
        } else {
            format!("--{key}")
        };
        messages.push(format!(
            "{name} cannot change when a run is resumed (it is {was}): start a new run instead, \
             with --init-from for its weights"
        ));
    }
    if messages.is_empty() {
        Ok(flags.or(stored))
    } else {
        Err(Failure::Usage(messages))
    }
}

/// In what two settings differ that would make them two runs, in words.
pub(crate) fn differences(before: &Settings, now: &Settings) -> Result<Vec<String>> {
    let (before, now) = (table(before)?, table(now)?);
    let mut keys: Vec<&String> = before.keys().chain(now.keys()).collect();
    keys.sort_unstable();
    keys.dedup();
    let value =
        |value: Option<&toml::Value>| value.map_or("nothing".to_owned(), |value| format!("`{value}`"));
    let differ = keys
        .into_iter()
        .filter(|key| !MAY_CHANGE.contains(&key.as_str()) && before.get(*key) != now.get(*key));
    Ok(differ
        .map(|key| {
            format!(
                "its {key} is {}, not {}",
                value(before.get(key)),
                value(now.get(key))
            )
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored() -> Settings {
        Settings {
            model: Some("lenet".into()),
            epochs: Some(10),
            lr: Some(0.9),
            ..Settings::default()
        }
    }

    #[test]
    fn differences_are_seen_on_either_side() {
        let now = Settings {
            lr: None,
            seed: Some(1),
            epochs: Some(20),
            ..stored()
        };
        assert_eq!(
            differences(&stored(), &now).unwrap(),
            ["its lr is `0.9`, not nothing", "its seed is nothing, not `1`"]
        );
        assert!(differences(&stored(), &stored()).unwrap().is_empty());
    }

    #[test]
    fn more_epochs_are_fine_another_learning_rate_is_not() {
        let flags = Settings {
            epochs: Some(20),
            lr: Some(0.9),
            threads: Some(1),
            ..Settings::default()
        };
        let merged = merge_for_resume(flags, stored()).unwrap();
        assert_eq!(
            (merged.epochs, merged.threads, merged.model.as_deref()),
            (Some(20), Some(1), Some("lenet"))
        );

        let flags = Settings {
            lr: Some(0.1),
            seed: Some(3),
            ..Settings::default()
        };
        let Err(Failure::Usage(messages)) = merge_for_resume(flags, stored()) else {
            panic!("accepted")
        };
        assert_eq!(messages.len(), 2);
        assert!(
            messages.iter().any(|m| m.contains("--lr") && m.contains("0.9")),
            "{messages:?}"
        );
        assert!(
            messages
                .iter()
                .any(|m| m.contains("--seed") && m.contains("not set")),
            "{messages:?}"
        );
    }
}
