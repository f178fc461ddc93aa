use crate::{Callback, Flow, Result, Run};

/// Does something after every epoch, such as measuring the model by a rule of one's own.
///
/// Through a plan the parameters may lag behind what was learned until [`Run::store`] is called.
pub struct OnEpoch<F>(pub F);

impl<F: FnMut(&mut Run<'_>) -> Result<Flow>> Callback for OnEpoch<F> {
    fn after_epoch(&mut self, run: &mut Run<'_>) -> Result<Flow> {
        (self.0)(run)
    }
}
