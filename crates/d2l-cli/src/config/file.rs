//! `config.toml`: the settings of a run under the names of the options, and a record of what they met.

use std::path::{Path, PathBuf};

use d2l_data::{DataSet, SourceKind};
use serde::{Deserialize, Serialize};

use crate::args::Settings;
use crate::config::table;
use crate::failure::{Doing, Failure, Result};

const RECORD: &str = "record";
const HEADING: &str = "\
# The settings of this run; each key is the option of `d2l train` of the same name.
# `d2l train --config THIS-FILE --name again` repeats it.

";

/// A configuration file: settings, and in a run folder the record of the run.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ConfigFile {
    pub(crate) settings: Settings,
    pub(crate) record: Option<Record>,
}

/// What a run met that no option says.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Record {
    /// The version of this program.
    pub(crate) d2l_version: String,
    /// The target it was built for, and how.
    pub(crate) build: String,
    /// Learned numbers in the network.
    pub(crate) parameters: usize,
    /// Channels, height and width that reach it.
    pub(crate) input: Vec<usize>,
    /// The names of the classes, by label.
    pub(crate) classes: Vec<String>,
    /// The data.
    pub(crate) data: DataRecord,
}

/// The data that a run was trained on.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct DataRecord {
    /// Of the content of all files, wherever they are and however they are compressed.
    pub(crate) digest: String,
    /// Whether it is only the sample inside the program.
    pub(crate) sample: bool,
    /// The kind of place it came from.
    pub(crate) kind: SourceKind,
    /// The place in words.
    pub(crate) source: String,
    pub(crate) train_examples: usize,
    pub(crate) test_examples: usize,
    /// SHA-256 of each file.
    pub(crate) files: std::collections::BTreeMap<String, String>,
}

impl DataRecord {
    pub(crate) fn new(data: &DataSet) -> Self {
        let provenance = &data.provenance;
        Self {
            digest: provenance.digest(),
            sample: provenance.is_sample,
            kind: provenance.kind,
            source: provenance.source.clone(),
            train_examples: data.train.len(),
            test_examples: data.test.len(),
            files: provenance
                .files
                .iter()
                .map(|file| (file.name.clone(), file.sha256.clone()))
                .collect(),
        }
    }
}

impl ConfigFile {
    /// Reads a file, with one message per bad field.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).doing(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text, path)
    }

    fn parse(text: &str, path: &Path) -> Result<Self> {
        let bad = |message: &str| format!("{}: {}", path.display(), message.trim_end());
        let table: toml::Table =
            toml::from_str(text).map_err(|error| Failure::usage(bad(&error.to_string())))?;
        let (mut file, mut messages) = (Self::default(), Vec::new());
        for (key, value) in table {
            if key == RECORD {
                match value.try_into() {
                    Ok(record) => file.record = Some(record),
                    Err(error) => messages.push(bad(&format!("`{RECORD}`: {error}"))),
                }
                continue;
            }
            // A table of this one key, so that every bad key has a message of its own.
            let one = toml::Table::from_iter([(key.clone(), value)]);
            match one.try_into::<Settings>() {
                Ok(settings) => file.settings = file.settings.or(settings),
                Err(error) => messages.push(bad(&format!("`{key}`: {}", error.message()))),
            }
        }
        if messages.is_empty() {
            Ok(file)
        } else {
            Err(Failure::Usage(messages))
        }
    }

    /// The text of the file.
    pub(crate) fn to_text(&self) -> Result<String> {
        let mut whole = table(&self.settings)?;
        if let Some(record) = &self.record {
            whole.insert(RECORD.to_owned(), toml::Value::try_from(record)?);
        }
        Ok(format!("{HEADING}{}", toml::to_string(&whole)?))
    }

    /// The record, which a file in a run folder must have.
    pub(crate) fn into_run(self, path: PathBuf) -> Result<(Settings, Record)> {
        match self.record {
            Some(record) => Ok((self.settings, record)),
            None => Err(Failure::work(format!(
                "{}: no `[{RECORD}]`: this is not the configuration of a run that `d2l train` started",
                path.display()
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(text: &str) -> Vec<String> {
        match ConfigFile::parse(text, Path::new("c.toml")) {
            Err(Failure::Usage(messages)) => messages,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_bad_field_has_its_message() {
        let found = messages("epochs = \"ten\"\nlr = 0.1\nbatch-size = -1\nepoch = 3\n");
        assert_eq!(found.len(), 3, "{found:#?}");
        for (message, part) in
            found
                .iter()
                .zip(["`batch-size`", "`epoch`: unknown field", "`epochs`: invalid type"])
        {
            assert!(
                message.starts_with("c.toml: ") && message.contains(part),
                "{message}"
            );
        }
        assert!(messages("epochs = ").first().unwrap().contains("line 1"));
    }

    #[test]
    fn a_configuration_comes_back_as_it_was_written() {
        let file = ConfigFile {
            settings: Settings {
                model: Some("lenet".into()),
                lr: Some(0.9),
                seed: Some(7),
                no_shuffle: Some(false),
                init_from: Some("/somewhere/w.safetensors".into()),
                checkpoint_every: Some("50steps".into()),
                ..Settings::default()
            },
            record: Some(Record {
                d2l_version: "0.1.0".into(),
                build: "x86_64-linux, release".into(),
                parameters: 61_706,
                input: vec![1, 28, 28],
                classes: vec!["a".into(), "b".into()],
                data: DataRecord {
                    digest: "0123".into(),
                    sample: true,
                    kind: SourceKind::Sample,
                    source: "inside".into(),
                    train_examples: 3500,
                    test_examples: 1000,
                    files: [("train".to_owned(), "ab".to_owned())].into(),
                },
            }),
        };
        let text = file.to_text().unwrap();
        assert_eq!(
            ConfigFile::parse(&text, Path::new("c.toml")).unwrap(),
            file,
            "{text}"
        );
    }
}
