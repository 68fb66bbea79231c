//! The server's errors without the rows that they quote: they end in events and evidence, which outlive the database. An index's or a
//! view's own functions see every row, and say what they like.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use sqlx::error::{DatabaseError, ErrorKind};

use crate::backup::restore::{RAISED, without_values};

/// An error as it may be kept.
#[derive(Debug)]
struct Quiet {
    message: String,
    code: Option<String>,
}

/// The same error, as it may be kept. One that a function of the database raises may say anything.
pub fn quiet(error: sqlx::Error) -> sqlx::Error {
    let sqlx::Error::Database(error) = error else { return error };
    let code = error.code().map(Cow::into_owned);
    let raised = code.as_deref().is_some_and(|code| code.starts_with("P0"));
    let message = if raised { RAISED.to_owned() } else { without_values(error.message()) };
    sqlx::Error::Database(Box::new(Quiet { message, code }))
}

impl fmt::Display for Quiet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Quiet {}

impl DatabaseError for Quiet {
    fn message(&self) -> &str {
        &self.message
    }

    fn code(&self) -> Option<Cow<'_, str>> {
        self.code.as_deref().map(Cow::Borrowed)
    }

    fn as_error(&self) -> &(dyn Error + Send + Sync + 'static) {
        self
    }

    fn as_error_mut(&mut self) -> &mut (dyn Error + Send + Sync + 'static) {
        self
    }

    fn into_error(self: Box<Self>) -> Box<dyn Error + Send + Sync + 'static> {
        self
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::Other
    }
}

#[cfg(test)]
mod tests {
    use super::super::analyze;
    use crate::backup::lab::lab;
    use crate::runtime::chain::Chain;

    #[tokio::test]
    async fn what_an_index_says_of_a_row_goes_into_no_record() {
        let lab = lab().await;
        let talks = "CREATE TABLE public.a (nom text); INSERT INTO public.a VALUES ('Zoé Durand');
            CREATE FUNCTION public.dit(n text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS
              'begin if current_setting(''a.dit'', true) = ''1'' then raise ''% parle'', n; end if; return n; end';
            CREATE INDEX a_dit ON public.a (public.dit(nom))";
        let mut source = lab.connect(&lab.source(talks).await).await;
        sqlx::raw_sql("SET a.dit = '1'").execute(&mut source).await.expect("it talks");
        let error = analyze(&mut source, |_, _| {}).await.expect_err("it was raised");
        let told = Chain(&error).to_string();
        assert!(told.contains("raises") && !told.contains("Durand"), "{told}");
    }
}
