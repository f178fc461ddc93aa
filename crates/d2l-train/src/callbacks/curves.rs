use crate::{Callback, Flow, Result, Run, Warning, callback::order, plot};
use std::path::PathBuf;

/// Draws the learning curves after every epoch, as `curves.svg` and `curves.png`.
///
/// A plot that cannot be drawn is a [`Warning`] and no reason to end a run.
#[derive(Clone, Debug)]
pub struct Curves {
    /// The folder for the two files.
    pub folder: PathBuf,
    /// The run's name, for the legend.
    pub name: String,
}

impl Callback for Curves {
    fn order(&self) -> i32 {
        order::PLOT
    }

    fn after_epoch(&mut self, run: &mut Run<'_>) -> Result<Flow> {
        for file in ["curves.svg", "curves.png"] {
            if let Err(error) = plot::learning_curves(&[(&self.name, run.history())], &self.folder.join(file))
            {
                let warning = Warning::Curves {
                    message: error.to_string(),
                };
                if !run.warnings().contains(&warning) {
                    run.warn(warning);
                }
            }
        }
        Ok(Flow::Continue)
    }
}
