//! Golden values from PyTorch, for tests: lines of a name and its numbers, in `tests/golden`.

/// A file of golden values.
pub(crate) struct Golden(&'static str);

impl Golden {
    /// Chapter 3's, made by `tests/golden/linear.py`.
    pub(crate) fn linear() -> Self {
        Self(include_str!("../tests/golden/linear.txt"))
    }

    /// Chapter 4's, made by `tests/golden/mlp.py`.
    pub(crate) fn mlp() -> Self {
        Self(include_str!("../tests/golden/mlp.txt"))
    }

    /// The numbers under `name`.
    pub(crate) fn values(&self, name: &str) -> Vec<f64> {
        let of_name = |line: &'static str| line.strip_prefix(name)?.strip_prefix(':');
        let numbers = self.0.lines().find_map(of_name);
        let numbers = numbers.unwrap_or_else(|| panic!("there are no golden values `{name}`"));
        numbers
            .split_whitespace()
            .map(|number| number.parse().unwrap())
            .collect()
    }
}
