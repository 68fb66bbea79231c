//! The one place that prints an error with its causes.

use std::error::Error;
use std::fmt;

/// Shows an error and its causes as `message: cause: cause`. A cause that its predecessor already told (a transparent
/// wrapper, or a foreign error that repeats its source) is not told again.
///
/// ```
/// let error = std::fmt::Error;
/// assert_eq!(reprise::runtime::chain::Chain(&error).to_string(), error.to_string());
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Chain<'a>(pub &'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut told = self.0.to_string();
        f.write_str(&told)?;
        let mut next = self.0.source();
        while let Some(cause) = next {
            let text = cause.to_string();
            if !text.is_empty() && !told.ends_with(&text) {
                write!(f, ": {text}")?;
                told = text;
            }
            next = cause.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Chain;

    #[derive(Debug, thiserror::Error)]
    enum Layer {
        #[error("connection reset")]
        Bottom,
        #[error("no answer to apps.create")]
        Call(#[source] Box<Self>),
        #[error(transparent)]
        Wrapper(Box<Self>),
        #[error("cannot create the app: {0}")]
        Repeats(#[source] Box<Self>),
    }

    fn call() -> Layer {
        Layer::Call(Box::new(Layer::Bottom))
    }

    #[test]
    fn causes_are_told_in_order() {
        assert_eq!(Chain(&call()).to_string(), "no answer to apps.create: connection reset");
    }

    #[test]
    fn each_cause_is_told_once() {
        let wrapped = Layer::Wrapper(Box::new(call()));
        assert_eq!(Chain(&wrapped).to_string(), "no answer to apps.create: connection reset");
        let repeating = Layer::Repeats(Box::new(call()));
        assert_eq!(
            Chain(&repeating).to_string(),
            "cannot create the app: no answer to apps.create: connection reset"
        );
    }
}
