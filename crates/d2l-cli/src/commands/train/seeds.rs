//! `d2l train --seeds`: the same run with several seeds.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde_json::json;

use super::series::{Member, Series};
use super::summary::Summary;
use crate::args::{Settings, TrainArgs};
use crate::config::ConfigFile;
use crate::failure::{Failure, Result};
use crate::runs::RUNS;
use crate::ui::Ui;

/// More runs than anybody waits for.
const MOST_SEEDS: u64 = 1000;

/// Seeds: so many from 0 on, or a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seeds(pub(crate) Vec<u64>);

impl FromStr for Seeds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "expected how many seeds (`3`, at most {MOST_SEEDS}) or a list of different ones (`0,1,2`), got `{text}`"
            )
        };
        if !text.contains(',') {
            let count = text.trim().parse::<u64>().ok();
            let count = count.filter(|count| (1..=MOST_SEEDS).contains(count));
            return count.map(|count| Self((0..count).collect())).ok_or_else(wrong);
        }
        let listed = text.trim_end_matches(',').split(',');
        let seeds: Result<Vec<u64>, _> = listed.map(|seed| seed.trim().parse::<u64>()).collect();
        let seeds = seeds.map_err(|_| wrong())?;
        let distinct: std::collections::BTreeSet<_> = seeds.iter().collect();
        let known_to_toml = seeds.iter().all(|&seed| i64::try_from(seed).is_ok());
        if distinct.len() != seeds.len() || !known_to_toml {
            return Err(wrong());
        }
        Ok(Self(seeds))
    }
}

/// Trains with each seed and says how far apart the results are.
pub(super) fn train_with(seeds: &Seeds, args: &TrainArgs, ui: Ui) -> Result<()> {
    let settings = match &args.config {
        Some(path) => args.settings.clone().or(ConfigFile::read(path)?.settings),
        None => args.settings.clone(),
    };
    let folder = series_folder(args.name.as_deref(), args.out.as_deref(), || {
        Ok(format!("{}-seeds", model_name(&settings)?))
    })?;
    let members = seeds.0.iter().map(|&seed| Member {
        name: format!("seed-{seed}"),
        settings: Settings {
            seed: Some(seed),
            ..settings.clone()
        },
    });
    let series = Series {
        folder,
        members: members.collect(),
        offline: args.offline,
        overwrite: args.overwrite,
        keep_going: false,
        ui,
    };
    let runs = series.run()?;
    let summary = Summary {
        heading: "seed",
        runs: &runs,
        averaged: true,
    };
    let curves = summary.write(&series.folder)?;
    if ui.json {
        let mut line = summary.json(&series.folder);
        if let Some(fields) = line.as_object_mut() {
            fields.insert("type".to_owned(), json!("seeds"));
        }
        return ui.json_line(&line);
    }
    summary.print(ui)?;
    if let Some(curves) = curves {
        ui.fact("Curves", curves.display());
    }
    Ok(())
}

/// The registry's name of the model of these settings.
pub(crate) fn model_name(settings: &Settings) -> Result<&'static str> {
    let Some(model) = &settings.model else {
        return Err(Failure::usage("no model: name one from `d2l list models`"));
    };
    Ok(d2l_models::find(model).map_err(Failure::usage)?.name)
}

/// Where several runs go: `--out`, `--name` under `runs/`, or their own name there.
pub(crate) fn series_folder(
    name: Option<&str>,
    out: Option<&Path>,
    own: impl FnOnce() -> Result<String>,
) -> Result<PathBuf> {
    if let Some(out) = out {
        return Ok(out.to_owned());
    }
    let name = match name {
        Some(name) => name.to_owned(),
        None => own()?,
    };
    super::folder::checked_name(&name)?;
    Ok(Path::new(RUNS).join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_counted_or_listed() {
        assert_eq!("3".parse(), Ok(Seeds(vec![0, 1, 2])));
        assert_eq!("7, 1".parse(), Ok(Seeds(vec![7, 1])));
        assert_eq!("5,".parse(), Ok(Seeds(vec![5])));
        for text in [
            "0",
            "-1",
            "1001",
            "1,1",
            "a",
            "1,b",
            ",",
            "",
            "9223372036854775808,",
        ] {
            assert!(text.parse::<Seeds>().unwrap_err().contains("`0,1,2`"), "{text}");
        }
    }
}
