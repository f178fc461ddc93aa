//! `state.json`: the state of a run beside its tensors, and how to tell that a checkpoint is whole.

use crate::{CheckpointFault, Error, Result, run::RunState};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// The version of the format; it goes up when an older build could not read, or would misread, a newer file.
const VERSION: u64 = 1;

pub(crate) const STATE: &str = "state.json";
pub(super) const WEIGHTS: &str = "weights.safetensors";
pub(super) const OPTIMIZER: &str = "optimizer.safetensors";
pub(super) const AVERAGES: &str = "averages.safetensors";

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct StateFile {
    version: u64,
    /// The tensor files.
    files: BTreeMap<String, FileDigest>,
    pub(super) run: RunState,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct FileDigest {
    bytes: u64,
    sha256: String,
}

impl StateFile {
    pub(super) fn new(run: RunState) -> Self {
        Self {
            version: VERSION,
            files: BTreeMap::new(),
            run,
        }
    }

    /// Takes note of a file that goes beside.
    pub(super) fn add(&mut self, name: &str, bytes: &[u8]) {
        let digest = FileDigest {
            bytes: bytes.len() as u64,
            sha256: sha256(bytes),
        };
        self.files.insert(name.to_owned(), digest);
    }

    /// Whether the checkpoint has a file of this name.
    pub(super) fn lists(&self, file: &str) -> bool {
        self.files.contains_key(file)
    }

    /// Whether `bytes` are what was written as `file`.
    pub(super) fn check(&self, file: &'static str, bytes: &[u8]) -> Result<(), CheckpointFault> {
        let Some(written) = self.files.get(file) else {
            return Err(CheckpointFault::Unreadable {
                file: STATE,
                message: format!("it does not list {file}"),
            });
        };
        let found = bytes.len() as u64;
        if found != written.bytes {
            return Err(CheckpointFault::Length {
                file,
                expected: written.bytes,
                found,
            });
        }
        if sha256(bytes) != written.sha256 {
            return Err(CheckpointFault::Edited { file });
        }
        Ok(())
    }

    /// The file's text, which ends with a digest of the rest.
    pub(super) fn to_json(&self) -> Result<String> {
        let invalid =
            |e: serde_json::Error| Error::Invalid(format!("the state of a run does not fit JSON: {e}"));
        let mut value = serde_json::to_value(self).map_err(invalid)?;
        let digest = digest(&value);
        if let Value::Object(fields) = &mut value {
            fields.insert("sha256".into(), digest.into());
        }
        serde_json::to_string_pretty(&value).map_err(invalid)
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Self, CheckpointFault> {
        let unreadable = |e: serde_json::Error| CheckpointFault::Unreadable {
            file: STATE,
            message: e.to_string(),
        };
        let mut value: Value = serde_json::from_slice(bytes).map_err(unreadable)?;
        // The version first: another one may have other fields and another digest.
        let found = value.get("version").and_then(Value::as_u64);
        match found {
            Some(VERSION) => {}
            Some(found) => {
                return Err(CheckpointFault::Version {
                    found,
                    supported: VERSION,
                });
            }
            None => {
                let message = "it has no version: not a checkpoint of this program".into();
                return Err(CheckpointFault::Unreadable { file: STATE, message });
            }
        }
        let written = value.as_object_mut().and_then(|fields| fields.remove("sha256"));
        if written.as_ref().and_then(Value::as_str) != Some(&digest(&value)) {
            return Err(CheckpointFault::Edited { file: STATE });
        }
        serde_json::from_value(value).map_err(unreadable)
    }
}

/// A digest of a JSON value, whatever its spaces and the order of its fields.
fn digest(value: &Value) -> String {
    fn write(value: &Value, out: &mut String) {
        match value {
            Value::Object(fields) => {
                let sorted: BTreeMap<&String, &Value> = fields.iter().collect();
                out.push('{');
                for (name, value) in sorted {
                    out.push_str(&Value::from(name.as_str()).to_string());
                    out.push(':');
                    write(value, out);
                    out.push(',');
                }
                out.push('}');
            }
            Value::Array(values) => {
                out.push('[');
                for value in values {
                    write(value, out);
                    out.push(',');
                }
                out.push(']');
            }
            other => out.push_str(&other.to_string()),
        }
    }
    let mut text = String::new();
    write(value, &mut text);
    sha256(text.as_bytes())
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
