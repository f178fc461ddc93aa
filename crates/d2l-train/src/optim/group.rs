//! Parameter groups: values of their own for parameters chosen by name or kind.

/// Values that replace the optimiser's own for some parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// The parameters it is for.
    pub select: Select,
    /// A factor on the learning rate.
    pub learning_rate_factor: Option<f64>,
    /// The weight decay.
    pub weight_decay: Option<f64>,
}

/// Which parameters a [`Group`] is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Select {
    /// Those whose name fits a pattern, in which `*` stands for any characters.
    Name(String),
    /// Those of at most one dimension: biases, and the scales and shifts of normalisations.
    Vectors,
}

impl Group {
    /// No weight decay on biases and normalisations.
    pub fn no_decay_on_vectors() -> Self {
        Self {
            select: Select::Vectors,
            learning_rate_factor: None,
            weight_decay: Some(0.0),
        }
    }

    /// Another learning rate for the parameters whose name fits `pattern`.
    pub fn learning_rate_factor(pattern: &str, factor: f64) -> Self {
        Self {
            select: Select::Name(pattern.to_owned()),
            learning_rate_factor: Some(factor),
            weight_decay: None,
        }
    }
}

impl Select {
    /// Whether the parameter of that name and number of dimensions is one of them.
    pub fn selects(&self, name: &str, rank: usize) -> bool {
        match self {
            Self::Name(pattern) => fits(pattern, name),
            Self::Vectors => rank <= 1,
        }
    }
}

/// Whether `name` fits `pattern`: the pieces between the stars come in order, the first at the start and the last at
/// the end.
fn fits(pattern: &str, name: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(mut name) = name.strip_prefix(first) else {
        return false;
    };
    let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
    for piece in middle.split('*') {
        match name.split_once(piece) {
            Some((_, after)) => name = after,
            None => return false,
        }
    }
    name.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, name, expected) in [
            ("fc.weight", "fc.weight", true),
            ("fc.weight", "fc.weight2", false),
            ("fc.*", "fc.weight", true),
            ("*.bias", "layers.0.bias", true),
            ("*.bias", "layers.0.bias.x", false),
            ("layers.*.weight", "layers.0.1.weight", true),
            ("a*b*c", "a-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("a*a", "a", false),
            ("*", "", true),
            ("**", "x", true),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }

    /// The definition: a star stands for nothing, or for one character and a star.
    fn naive(pattern: &[u8], name: &[u8]) -> bool {
        match (pattern, name) {
            ([], []) => true,
            ([b'*', rest @ ..], _) if naive(rest, name) => true,
            ([b'*', ..], [_, tail @ ..]) => naive(pattern, tail),
            ([a, rest @ ..], [b, tail @ ..]) => a == b && naive(rest, tail),
            _ => false,
        }
    }

    proptest::proptest! {
        #[test]
        fn patterns_fit_what_the_definition_says(pattern in "[ab*]{0,6}", name in "[ab]{0,6}") {
            proptest::prop_assert_eq!(fits(&pattern, &name), naive(pattern.as_bytes(), name.as_bytes()));
        }
    }
}
