use crate::{
    BatchSource, Callback, Flow, Loss, Result, Run, engine::Planned, metrics::Evaluation, metrics::evaluate,
};
use candle_nn::ModuleT;

/// Measures the model on a part of the training data that was held out, whenever the run measures it on the test set:
/// `validation_loss` and `validation_accuracy` of [`EpochRecord`](crate::EpochRecord). The best checkpoint is then the
/// best one on the part held out, so that the test set decides nothing.
pub struct Validation<'a> {
    /// The trainer's model.
    pub model: &'a dyn ModuleT,
    /// What is measured beside the accuracy.
    pub loss: Box<dyn Loss + 'a>,
    /// The part held out.
    pub source: &'a dyn BatchSource,
}

impl Callback for Validation<'_> {
    fn after_evaluation(&mut self, run: &mut Run<'_>, _: &Evaluation) -> Result<Flow> {
        let task = run.options().task;
        let measured = match run.planned.as_ref().map(Planned::inference).transpose()? {
            Some(planned) => evaluate(&*planned, self.loss.as_ref(), task, self.source)?,
            None => evaluate(self.model, self.loss.as_ref(), task, self.source)?,
        };
        run.validation = Some(measured);
        Ok(Flow::Continue)
    }
}
