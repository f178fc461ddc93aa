//! What a run can be asked for besides its training: earlier stops, averaged weights, more files.

use d2l_train::Averaging;

use super::Faults;
use crate::args::Settings;

/// The extras of a run; none of them changes a step of its training.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Extras {
    /// Stop after so many epochs without a better test accuracy.
    pub(crate) patience: Option<u64>,
    pub(crate) averaging: Option<Averaging>,
    /// Keep the checkpoints of so many epochs.
    pub(crate) keep_last: Option<usize>,
    pub(crate) csv: bool,
    pub(crate) tensorboard: bool,
}

impl Extras {
    pub(super) fn resolve(settings: &Settings, epochs: usize, faults: &mut Faults<'_>) -> Self {
        let Settings {
            patience,
            keep_last,
            ema,
            swa,
            ..
        } = *settings;
        faults.at_least("patience", patience.unwrap_or(1), 1, usize::MAX);
        faults.at_least("keep-last", keep_last.unwrap_or(1), 1, usize::MAX);
        faults.at_least("swa", swa.unwrap_or(1), 1, epochs.max(1));
        if let Some(decay) = ema.filter(|decay| !(0.0..1.0).contains(decay)) {
            faults.add(
                "ema",
                format!("has to be a number at least 0 and below 1, got {decay}"),
            );
        }
        if ema.is_some() && swa.is_some() {
            faults.add("ema", "weights are averaged one way or the other: not with `swa`");
        }
        let averaging = match (ema, swa) {
            (Some(decay), _) => Some(Averaging::Ema { decay }),
            (None, Some(start)) => Some(Averaging::Swa { start: start as u64 }),
            (None, None) => None,
        };
        Self {
            patience: patience.map(|n| n as u64),
            averaging,
            keep_last,
            csv: settings.csv.unwrap_or(false),
            tensorboard: settings.tensorboard.unwrap_or(false),
        }
    }

    /// Writes the extras back into settings.
    pub(super) fn into_settings(self, settings: Settings) -> Settings {
        let (ema, swa) = match self.averaging {
            Some(Averaging::Ema { decay }) => (Some(decay), None),
            Some(Averaging::Swa { start }) => (None, Some(start as usize)),
            None => (None, None),
        };
        Settings {
            patience: self.patience.map(|n| n as usize),
            ema,
            swa,
            keep_last: self.keep_last,
            csv: self.csv.then_some(true),
            tensorboard: self.tensorboard.then_some(true),
            ..settings
        }
    }
}
