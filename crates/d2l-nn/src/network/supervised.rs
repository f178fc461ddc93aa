//! Classifiers on the side: heads that look at layers in the middle of a network while it trains.

use super::{Model, Network};
use crate::{Error, ParamStore, Result, Rng};
use candle_core::Tensor;
use candle_nn::ModuleT;

/// A head on the side of a network.
#[derive(Clone, Debug)]
pub struct Head {
    /// Its layers. Its name is what its parameters' names begin with: `aux1.conv.weight`.
    pub network: Network,
    /// The layer whose output it sees, by its name in the main network: `stage4.inception1`.
    pub at: String,
    /// Factor of its loss.
    pub weight: f64,
}

/// A network with auxiliary classifiers (Szegedy et al. 2014, section 5): heads that see the output of layers in
/// the middle and whose weighted losses are added to that of the network's own output in training. Inference does not
/// use them.
#[derive(Clone, Debug)]
pub struct Supervised {
    /// The main network.
    pub network: Network,
    /// The heads.
    pub heads: Vec<Head>,
}

/// A [`Supervised`] network with its parameters.
///
/// As a candle module it is the main network alone, in training too; [`Self::loss`] is what uses the heads.
#[derive(Debug)]
pub struct SupervisedModel {
    model: Model,
    heads: Vec<BuiltHead>,
}

#[derive(Debug)]
struct BuiltHead {
    at: String,
    weight: f64,
    model: Model,
}

/// What the main network and each head say of a batch.
#[derive(Clone, Debug)]
pub struct SupervisedOutput {
    /// The main network's output.
    pub main: Tensor,
    /// Each head's weight and output.
    pub heads: Vec<(f64, Tensor)>,
}

impl Supervised {
    /// Creates the parameters of the main network, then those of the heads, as [`Network::build`] does.
    ///
    /// # Errors
    /// As [`Network::build`]; or names a head whose layer is not in the network.
    pub fn build(&self, input: &[usize], params: &ParamStore, rng: &Rng) -> Result<SupervisedModel> {
        let inputs = self.head_inputs(input)?;
        let model = self.network.build(input, params, rng)?;
        let build = |(head, input): (&Head, &Vec<usize>)| {
            Ok(BuiltHead {
                at: head.at.clone(),
                weight: head.weight,
                model: named(&head.network).build(input, params, rng)?,
            })
        };
        let heads = self.heads.iter().zip(&inputs).map(build).collect::<Result<_>>()?;
        Ok(SupervisedModel { model, heads })
    }

    /// The shape of an example of the main network's output.
    ///
    /// # Errors
    /// As [`Network::output_shape`], of the heads too; or names a head whose layer is not in the network.
    pub fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        self.head_inputs(input)?;
        self.network.output_shape(input)
    }

    /// The shapes that reach the heads, each of which takes its.
    fn head_inputs(&self, input: &[usize]) -> Result<Vec<Vec<usize>>> {
        let rows = self.network.summary(input)?.layers;
        let mut inputs = Vec::with_capacity(self.heads.len());
        for head in &self.heads {
            let row = rows.iter().find(|row| row.name == head.at).ok_or_else(|| {
                let (name, at) = (&head.network.name, &head.at);
                Error::msg(format!(
                    "the head `{name}` looks at `{at}`, which is no layer of {}",
                    self.network.name
                ))
            })?;
            named(&head.network).output_shape(&row.output_shape)?;
            inputs.push(row.output_shape.clone());
        }
        Ok(inputs)
    }
}

/// The head as one layer of its own name, so that its parameters have that in front.
fn named(head: &Network) -> Network {
    Network::new(&head.name).add(&head.name, head.clone())
}

impl SupervisedModel {
    /// The main network.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Whether there is any head.
    pub fn has_heads(&self) -> bool {
        !self.heads.is_empty()
    }

    /// Outputs of the main network and of every head. The heads' dropout follows the main network's step.
    ///
    /// # Errors
    /// When the batch does not have the shape that the model was built for.
    pub fn forward_all(&self, xs: &Tensor, train: bool) -> Result<SupervisedOutput> {
        let step = self.model.step();
        let at: Vec<&str> = self.heads.iter().map(|head| head.at.as_str()).collect();
        let (main, seen) = self.model.forward_at(xs, train, &at)?;
        let mut heads = Vec::with_capacity(self.heads.len());
        for (head, xs) in self.heads.iter().zip(&seen) {
            head.model.set_step(step);
            heads.push((head.weight, head.model.forward_t(xs, train)?));
        }
        Ok(SupervisedOutput { main, heads })
    }

    /// One training pass: the loss of the main output plus the weighted losses of the heads.
    ///
    /// # Errors
    /// As [`Self::forward_all`], or when `loss` fails.
    pub fn loss(
        &self,
        xs: &Tensor,
        targets: &Tensor,
        loss: impl Fn(&Tensor, &Tensor) -> Result<Tensor>,
    ) -> Result<Tensor> {
        self.forward_all(xs, true)?.loss(targets, loss)
    }
}

impl SupervisedOutput {
    /// The loss of the main output plus the weighted losses of the heads.
    ///
    /// # Errors
    /// When `loss` fails.
    pub fn loss(
        &self,
        targets: &Tensor,
        loss: impl Fn(&Tensor, &Tensor) -> Result<Tensor>,
    ) -> Result<Tensor> {
        let mut total = loss(&self.main, targets)?;
        for (weight, logits) in &self.heads {
            total = (total + (loss(logits, targets)? * *weight)?)?;
        }
        Ok(total)
    }
}

impl ModuleT for SupervisedModel {
    fn forward_t(&self, xs: &Tensor, train: bool) -> candle_core::Result<Tensor> {
        self.model.forward_t(xs, train)
    }
}
