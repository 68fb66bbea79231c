//! The server that a dump is tried in, against the one that was dumped.

use std::fmt;

use sqlx::PgConnection;

use super::Halt;
use crate::backup::checks::CheckError;
use crate::backup::toc::Toc;

/// The majors of both servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Majors {
    /// Of the one that was dumped, if the dump tells it.
    pub dumped: Option<u32>,
    /// Of the one that it is tried in.
    pub here: u32,
}

impl Majors {
    /// Refuses a server that is older than the dump's: what it does not take may be what only newer ones know, and what it
    /// takes may mean something else.
    pub(super) fn suffice(self) -> Result<(), Halt> {
        match self.dumped.filter(|dumped| *dumped > self.here) {
            Some(dumped) => Err(Halt::ServerOlder { dumped, here: self.here }),
            None => Ok(()),
        }
    }

    /// Whether the dump went up to a newer major.
    pub fn differ(self) -> bool {
        self.dumped != Some(self.here)
    }
}

impl fmt::Display for Majors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { dumped, here } = self;
        match dumped {
            Some(dumped) if dumped == here => {
                write!(f, "restored in PostgreSQL {here}, as it was dumped from")
            }
            Some(dumped) => write!(f, "restored in PostgreSQL {here}, and dumped from PostgreSQL {dumped}"),
            None => {
                write!(f, "restored in PostgreSQL {here}, and the dump does not tell what it was dumped from")
            }
        }
    }
}

/// Asks the server of `connection` for its major.
pub(super) async fn compare(connection: &mut PgConnection, toc: &Toc) -> Result<Majors, CheckError> {
    let here: i32 = sqlx::query_scalar("SELECT current_setting('server_version_num')::integer / 10000")
        .fetch_one(connection)
        .await
        .map_err(|source| CheckError { doing: "ask the throwaway server for its version", source })?;
    Ok(Majors { dumped: toc.server_major(), here: here.unsigned_abs() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_server_is_refused_with_the_package_to_install_and_blames_nobody() {
        let halt = Majors { dumped: Some(17), here: 15 }.suffice().expect_err("15 is older");
        assert!(halt.to_string().contains("install the package postgresql-17"), "{halt}");
        assert_eq!((halt.reason(), halt.blames_backup()), ("server-older", false));
    }

    #[test]
    fn the_same_major_a_newer_one_and_an_unknown_one_will_do() {
        for (dumped, differ) in [(Some(15), false), (Some(13), true), (None, true)] {
            let majors = Majors { dumped, here: 15 };
            assert!(majors.suffice().is_ok());
            assert_eq!(majors.differ(), differ, "{majors}");
        }
    }
}
