//! The file that says what to try.

use std::collections::BTreeSet;
use std::path::Path;

use d2l_nn::Rng;
use d2l_train::metrics::Metric;
use toml::{Table, Value};

use crate::args::Settings;
use crate::commands::train::series::{MOST_RUNS, Member};
use crate::failure::{Doing, Failure, Result};

/// More combinations than are laid out to choose from.
const MOST_COMBINATIONS: usize = 1_000_000;
/// What a folder's name may have, so that every file system takes it.
const LONGEST_NAME: usize = 100;

/// What to try.
#[derive(Debug)]
pub(super) struct SweepFile {
    pub(super) members: Vec<Member>,
    /// What to sort the results by.
    pub(super) metric: Option<Metric>,
}

impl SweepFile {
    pub(super) fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).doing(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text).map_err(|messages| {
            let named = messages
                .into_iter()
                .map(|message| format!("{}: {message}", path.display()));
            Failure::Usage(named.collect())
        })
    }

    fn parse(text: &str) -> Result<Self, Vec<String>> {
        let whole: Table =
            toml::from_str(text).map_err(|error| vec![error.to_string().trim_end().to_owned()])?;
        let mut messages = Vec::new();
        let (mut base, mut grid) = (Settings::default(), Vec::new());
        let (mut metric, mut trials, mut seed) = (None, None, 0);
        for (key, value) in whole {
            let read = match key.as_str() {
                "base" => table(&value).and_then(|keys| {
                    base = settings("base", keys)?;
                    Ok(())
                }),
                "grid" => table(&value).and_then(|keys| {
                    grid = axes(keys)?;
                    Ok(())
                }),
                "metric" => value
                    .as_str()
                    .ok_or("has to be a text".to_owned())
                    .and_then(|name| {
                        metric = Some(name.parse::<Metric>().map_err(|error| error.to_string())?);
                        Ok(())
                    })
                    .map_err(|error| vec![error]),
                "trials" => whole_number(&value, 1).map(|number| trials = Some(number)),
                "seed" => whole_number(&value, 0).map(|number| seed = number),
                _ => Err(vec![
                    "unknown key: expected base, grid, metric, trials or seed".to_owned(),
                ]),
            };
            if let Err(errors) = read {
                messages.extend(errors.into_iter().map(|error| match error.starts_with('`') {
                    true => error,
                    false => format!("`{key}`: {error}"),
                }));
            }
        }
        if messages.is_empty() && grid.is_empty() {
            messages.push("`grid`: has to have at least one setting with a list of values".to_owned());
        }
        if !messages.is_empty() {
            return Err(messages);
        }
        let combinations = combinations(&grid, trials, seed).map_err(|error| vec![error])?;
        Ok(Self {
            members: members(&base, &grid, &combinations),
            metric,
        })
    }
}

/// A setting with its values, as text for names and as settings of their own.
struct Axis {
    key: String,
    values: Vec<(String, Settings)>,
}

fn table(value: &Value) -> Result<&Table, Vec<String>> {
    value
        .as_table()
        .ok_or_else(|| vec!["has to be a table".to_owned()])
}

fn whole_number(value: &Value, least: i64) -> Result<u64, Vec<String>> {
    let number = value.as_integer().filter(|number| *number >= least);
    let number = number.and_then(|number| u64::try_from(number).ok());
    number.ok_or_else(|| vec![format!("has to be a whole number, at least {least}, got {value}")])
}

/// Settings from a table, with a message per bad key.
fn settings(section: &str, keys: &Table) -> Result<Settings, Vec<String>> {
    let (mut all, mut messages) = (Settings::default(), Vec::new());
    for (key, value) in keys {
        match setting(section, key, value) {
            Ok(one) => all = all.or(one),
            Err(message) => messages.push(message),
        }
    }
    if messages.is_empty() {
        Ok(all)
    } else {
        Err(messages)
    }
}

fn setting(section: &str, key: &str, value: &Value) -> Result<Settings, String> {
    let one = Table::from_iter([(key.to_owned(), value.clone())]);
    one.try_into()
        .map_err(|error: toml::de::Error| format!("`{section}.{key}`: {}", error.message()))
}

fn axes(keys: &Table) -> Result<Vec<Axis>, Vec<String>> {
    let (mut axes, mut messages) = (Vec::new(), Vec::new());
    for (key, values) in keys {
        let Some(values) = values.as_array().filter(|values| !values.is_empty()) else {
            messages.push(format!("`grid.{key}`: has to be a list of values, got {values}"));
            continue;
        };
        let values = values
            .iter()
            .map(|value| Ok((name_of(value), setting("grid", key, value)?)));
        match values.collect::<Result<_, String>>() {
            Ok(values) => axes.push(Axis {
                key: key.clone(),
                values,
            }),
            Err(message) => messages.push(message),
        }
    }
    if messages.is_empty() {
        Ok(axes)
    } else {
        Err(messages)
    }
}

/// A value in a folder's name.
fn name_of(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(name_of).collect::<Vec<_>>().join("x"),
        other => other.to_string(),
    };
    let plain = |c: char| c.is_alphanumeric() || "._+-=".contains(c);
    text.chars().map(|c| if plain(c) { c } else { '_' }).collect()
}

/// The numbers of the combinations to run, in order: all of them, or so many by chance.
fn combinations(grid: &[Axis], trials: Option<u64>, seed: u64) -> Result<Vec<usize>, String> {
    let count = grid
        .iter()
        .try_fold(1usize, |count, axis| count.checked_mul(axis.values.len()));
    let count = count.filter(|count| *count <= MOST_COMBINATIONS);
    let count = count.ok_or_else(|| format!("`grid`: more than {MOST_COMBINATIONS} combinations"))?;
    let mut all: Vec<usize> = (0..count).collect();
    if let Some(trials) = trials {
        let mut drawn: Vec<u32> = (0..count as u32).collect();
        Rng::new(seed).split("trials").shuffle(&mut drawn);
        all = drawn
            .into_iter()
            .take(usize::try_from(trials).unwrap_or(count))
            .map(|n| n as usize)
            .collect();
        all.sort_unstable();
    }
    if all.len() > MOST_RUNS {
        return Err(format!(
            "`grid`: {} combinations are more than the {MOST_RUNS} runs that a sweep has; \
             `trials = N` tries N of them",
            all.len()
        ));
    }
    Ok(all)
}

/// The runs; the last setting of the grid changes fastest.
fn members(base: &Settings, grid: &[Axis], combinations: &[usize]) -> Vec<Member> {
    let mut taken = BTreeSet::new();
    let member = |&combination: &usize| {
        let (mut rest, mut parts, mut settings) = (combination, Vec::new(), Settings::default());
        for axis in grid.iter().rev() {
            let values = axis.values.len().max(1);
            if let Some((name, value)) = axis.values.get(rest % values) {
                parts.push(format!("{}={name}", axis.key));
                settings = settings.or(value.clone());
            }
            rest /= values;
        }
        parts.reverse();
        Member {
            name: free_name(&parts.join(","), &mut taken),
            settings: settings.or(base.clone()),
        }
    };
    combinations.iter().map(member).collect()
}

/// `name`, shortened and numbered if need be.
fn free_name(name: &str, taken: &mut BTreeSet<String>) -> String {
    let short: String = name.chars().take(LONGEST_NAME).collect();
    let numbered = (2..).map(|number: u32| format!("{short}-{number}"));
    let mut names = std::iter::once(short.clone()).chain(numbered);
    let free = names.find(|name| !taken.contains(name)).unwrap_or(short.clone());
    taken.insert(free.clone());
    free
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRID: &str = "[base]\nmodel = \"mlp\"\n[grid]\nlr = [0.1, 0.5]\nhidden = [[64], [32, 16]]\n";

    fn messages(text: &str) -> Vec<String> {
        SweepFile::parse(text).map(|file| file.members.len()).unwrap_err()
    }

    #[test]
    fn all_combinations_over_the_base() {
        let file = SweepFile::parse(GRID).unwrap();
        let names: Vec<&str> = file.members.iter().map(|member| member.name.as_str()).collect();
        // TOML tables are sorted by key.
        assert_eq!(
            names,
            [
                "hidden=64,lr=0.1",
                "hidden=64,lr=0.5",
                "hidden=32x16,lr=0.1",
                "hidden=32x16,lr=0.5"
            ]
        );
        let last = &file.members.last().unwrap().settings;
        assert_eq!((last.model.as_deref(), last.lr), (Some("mlp"), Some(0.5)));
        assert_eq!(last.hidden.as_deref(), Some(&[32, 16][..]));
    }

    #[test]
    fn trials_are_some_of_them_and_the_same_each_time() {
        let names = |text: &str| -> Vec<String> {
            let file = SweepFile::parse(&format!("{text}\n{GRID}")).unwrap();
            file.members.into_iter().map(|member| member.name).collect()
        };
        let all = names("");
        let some = names("trials = 2\nseed = 3");
        assert_eq!(some, names("trials = 2\nseed = 3"));
        assert!(some.len() == 2 && some.iter().all(|name| all.contains(name)));
        assert!((0..20).any(|seed| names(&format!("trials = 2\nseed = {seed}")) != some));
        assert_eq!(names("trials = 99"), all);
    }

    #[test]
    fn every_mistake_is_named_with_its_key() {
        let found = messages(
            "trials = 0\nmetric = \"speed\"\nfoo = 1\n[base]\nepochz = 3\nlr = \"x\"\n[grid]\nlr = 0.1\nseeds = [1]\n",
        );
        for part in [
            "`trials`: has to be a whole number",
            "`metric`:",
            "`foo`: unknown key",
            "`base.epochz`: unknown field",
            "`base.lr`: invalid type",
            "`grid.lr`: has to be a list",
            "`grid.seeds`: unknown field",
        ] {
            assert!(
                found.iter().any(|message| message.contains(part)),
                "{part}: {found:#?}"
            );
        }
        assert!(messages("[base]\nmodel = \"mlp\"\n")[0].contains("`grid`"));
        assert!(messages("[grid]\nlr = []\n")[0].contains("`grid.lr`"));
        let many = (0..40).map(|i| i.to_string()).collect::<Vec<_>>().join(", ");
        let huge = format!("[grid]\nseed = [{many}]\nepochs = [{many}]\n");
        assert!(
            messages(&huge)[0].contains("1600 combinations"),
            "{:?}",
            messages(&huge)
        );
        assert_eq!(
            SweepFile::parse(&format!("trials = 5\n{huge}"))
                .unwrap()
                .members
                .len(),
            5
        );
        let endless = format!("{huge}batch-size = [{many}]\ntrain-limit = [{many}]\n");
        assert!(messages(&endless)[0].contains("1000000 combinations"));
    }

    #[test]
    fn names_are_plain_short_and_different() {
        let mut taken = BTreeSet::new();
        let long = "x".repeat(300);
        assert_eq!(free_name(&long, &mut taken).len(), LONGEST_NAME);
        assert!(free_name(&long, &mut taken).ends_with("-2"));
        assert_eq!(name_of(&Value::String("../a b:c".into())), ".._a_b_c");
    }
}
