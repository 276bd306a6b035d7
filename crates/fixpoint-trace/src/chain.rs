//! An error and its causes, said in a line: for spans, logs and figures that have room for one text.
//!
//! Not for errors that go on to a caller, who sees their sources. The surprise: nothing is left out;
//! whoever must not tell a part of it (a URL, an answer) takes that off first.

use std::error::Error;

/// "the bucket cannot be read: connection refused"
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| (**error).source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use crate::store::StoreError;

    #[test]
    fn an_error_is_told_with_what_is_beneath_it() {
        let error = StoreError::new("read it", StoreError::new("open it", "no such file"));
        let told =
            "the trace store could not read it: the trace store could not open it: no such file";
        assert_eq!(super::chain(&error), told);
    }
}
