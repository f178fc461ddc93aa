//! Parameters that are trained in a way of their own: frozen, at another rate, without weight decay.

use d2l_nn::ParamStore;
use d2l_train::{
    Method, Optimizer,
    optim::{Group, Select},
};

use super::Faults;
use crate::args::Settings;
use crate::failure::{Failure, Result};

/// The groups of parameters that a run treats differently.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Groups {
    /// Patterns of the names that are not trained.
    pub(crate) freeze: Vec<String>,
    /// Patterns with a factor on the learning rate.
    pub(crate) lr_scale: Vec<(String, f64)>,
    /// No weight decay on biases and normalisations.
    pub(crate) no_decay: bool,
}

impl Groups {
    pub(super) fn resolve(settings: &Settings, method: Option<&Method>, faults: &mut Faults<'_>) -> Self {
        let scales = settings.lr_scale.iter().flatten();
        let lr_scale = scales
            .filter_map(|text| faults.take("lr-scale", scale(text)))
            .collect();
        let freeze = settings.freeze.clone().unwrap_or_default();
        if freeze.iter().any(String::is_empty) {
            faults.add("freeze", "an empty pattern fits no parameter");
        }
        let no_decay = settings.no_decay.unwrap_or(false);
        if no_decay && method.is_some_and(|method| method.weight_decay() == 0.0) {
            faults.add(
                "no-decay",
                "there is no weight decay to leave out; set --weight-decay",
            );
        }
        Self {
            freeze,
            lr_scale,
            no_decay,
        }
    }

    pub(super) fn into_settings(self, settings: Settings) -> Settings {
        let scales = self.lr_scale.iter();
        let scales: Vec<String> = scales
            .map(|(pattern, factor)| format!("{pattern}={factor}"))
            .collect();
        Settings {
            freeze: (!self.freeze.is_empty()).then_some(self.freeze),
            lr_scale: (!scales.is_empty()).then_some(scales),
            no_decay: self.no_decay.then_some(true),
            ..settings
        }
    }

    /// Freezes what is to be frozen of the network's parameters.
    pub(crate) fn freeze(&self, params: &ParamStore) -> Result<()> {
        for pattern in &self.freeze {
            let select = Select::Name(pattern.clone());
            // The rank plays no part in a choice by name.
            if params.freeze(true, |name| select.selects(name, 0)) == 0 {
                return Err(no_such("freeze", pattern, params));
            }
        }
        if params.trainable().is_empty() {
            return Err(Failure::usage("--freeze: nothing is left to train"));
        }
        Ok(())
    }

    /// The optimiser of the parameters that are not frozen.
    pub(crate) fn optimizer(&self, method: Method, params: &ParamStore) -> Result<Optimizer> {
        let trained = params.trainable();
        let mut groups = Vec::new();
        for (pattern, factor) in &self.lr_scale {
            let select = Select::Name(pattern.clone());
            if !trained.iter().any(|(name, var)| select.selects(name, var.rank())) {
                return Err(no_such("lr-scale", pattern, params));
            }
            groups.push(Group::learning_rate_factor(pattern, *factor));
        }
        if self.no_decay {
            groups.push(Group::no_decay_on_vectors());
        }
        Ok(Optimizer::with_groups(method, params, &groups)?)
    }
}

/// `PATTERN=FACTOR`
fn scale(text: &str) -> Result<(String, f64), String> {
    let bad = || format!("expected PATTERN=FACTOR with a factor above 0, as in `conv*=0.1`, got `{text}`");
    let (pattern, factor) = text.rsplit_once('=').ok_or_else(bad)?;
    match factor.trim().parse::<f64>() {
        Ok(factor) if factor.is_finite() && factor > 0.0 && !pattern.is_empty() => {
            Ok((pattern.to_owned(), factor))
        }
        _ => Err(bad()),
    }
}

fn no_such(key: &str, pattern: &str, params: &ParamStore) -> Failure {
    let names: Vec<String> = params.trainable().into_iter().map(|(name, _)| name).collect();
    Failure::usage(format!(
        "--{key}: `{pattern}` fits none of the parameters that are trained: {}",
        names.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device, Tensor};
    use d2l_nn::{Network, Rng, layers::Linear};

    fn params() -> ParamStore {
        let params = ParamStore::new(DType::F32, &Device::Cpu);
        let network = Network::new("two")
            .add("a", Linear::new(2))
            .add("b", Linear::new(1));
        network.build(&[3], &params, &Rng::new(1)).unwrap();
        params
    }

    #[test]
    fn factors_are_read() {
        assert_eq!(scale("conv*=0.1"), Ok(("conv*".to_owned(), 0.1)));
        for bad in ["conv*", "=2", "a=", "a=0", "a=-1", "a=NaN", "a=inf"] {
            assert!(scale(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn groups_reach_the_parameters() {
        let groups = Groups {
            freeze: vec!["a.weight".into()],
            lr_scale: vec![("b.*".into(), 10.0)],
            no_decay: true,
        };
        let params = params();
        groups.freeze(&params).unwrap();
        let names: Vec<String> = params.trainable().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["a.bias", "b.weight", "b.bias"]);
        // A step with gradients of 1 and a decay of 1: value − rate · (1 + value), or without the decay.
        for (_, var) in params.parameters() {
            var.set(&Tensor::full(2f32, var.shape(), &Device::Cpu).unwrap())
                .unwrap();
        }
        let method = Method::sgd(0.01).with_weight_decay(1.0);
        let mut optimizer = groups.optimizer(method, &params).unwrap();
        let all = params.parameters();
        let loss = all.iter().map(|(_, var)| var.sum_all().unwrap());
        let loss = loss.reduce(|a, b| (a + b).unwrap()).unwrap();
        let gradients = optimizer.gradients(&loss.backward().unwrap()).unwrap();
        optimizer.step(&gradients, 0.01).unwrap();
        let value = |name: &str| {
            params
                .get(name)
                .unwrap()
                .flatten_all()
                .unwrap()
                .to_vec1::<f32>()
                .unwrap()[0]
        };
        for (name, expected) in [
            ("a.weight", 2.0),
            ("a.bias", 2.0 - 0.01),
            ("b.weight", 2.0 - 0.1 * 3.0),
            ("b.bias", 2.0 - 0.1),
        ] {
            assert!((value(name) - expected).abs() < 1e-6, "{name}: {}", value(name));
        }
    }

    #[test]
    fn a_pattern_that_fits_nothing_names_the_parameters() {
        let params = params();
        let none = Groups {
            freeze: vec!["c.*".into()],
            lr_scale: vec![("conv*".into(), 2.0)],
            no_decay: false,
        };
        let message = |result: Result<()>| match result {
            Err(Failure::Usage(messages)) => messages.concat(),
            other => panic!("{other:?}"),
        };
        let text = message(none.freeze(&params));
        assert!(
            text.contains("--freeze: `c.*`") && text.contains("a.weight, a.bias"),
            "{text}"
        );
        let text = message(none.optimizer(Method::sgd(0.1), &params).map(|_| ()));
        assert!(text.contains("--lr-scale: `conv*`"), "{text}");
        let all = Groups {
            freeze: vec!["*".into()],
            ..Groups::default()
        };
        assert!(message(all.freeze(&params)).contains("nothing is left"));
    }
}
