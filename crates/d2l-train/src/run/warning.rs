/// Something that is probably wrong, but does not keep the run from going on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// A trainable parameter got no gradient in the first step: nothing that the loss depends on uses it.
    NoGradient {
        /// The parameter's name.
        parameter: String,
    },
    /// The learning curves could not be written.
    Curves {
        /// Why.
        message: String,
    },
}

impl std::fmt::Display for Warning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoGradient { parameter } => {
                write!(
                    f,
                    "the trainable parameter `{parameter}` got no gradient in the first step"
                )
            }
            Self::Curves { message } => write!(f, "the learning curves could not be written: {message}"),
        }
    }
}
