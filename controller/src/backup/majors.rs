//! Which of the installed majors a dump is tried with. Pure.

/// The major of the server that a dump of major `dumped` is tried in, of those `installed`: the source's own; else the next newer one, as dumps go
/// up and never surely down; else the newest, which will not do and says so. `None` if there is none at all.
pub fn server(installed: &[u32], dumped: Option<u32>) -> Option<u32> {
    let newest = installed.iter().copied().max();
    let Some(dumped) = dumped else { return newest };
    installed.iter().copied().filter(|major| *major >= dumped).min().or(newest)
}

/// The major of the `pg_restore` for what a `pg_dump` of major `written_by` wrote, of those `installed`: the oldest that is as
/// new, and so knows its format and all that it writes; else the newest, which reads as much as any. Where the server is not to be
/// chosen, it is as new as the server `given` too.
pub fn restorer(installed: &[u32], written_by: Option<u32>, given: Option<u32>) -> Option<u32> {
    // One that is known is no bound where the other is not.
    server(installed, written_by.map(|by| by.max(given.unwrap_or(0))))
}

#[cfg(test)]
mod tests {
    use super::{restorer, server};

    #[test]
    fn the_source_s_own_major_is_taken_then_the_next_newer_one() {
        let installed = [18, 16, 15, 13];
        assert_eq!(server(&installed, Some(15)), Some(15));
        assert_eq!(server(&installed, Some(14)), Some(15));
        assert_eq!(server(&installed, Some(12)), Some(13));
        assert_eq!(server(&installed, Some(17)), Some(18));
    }

    #[test]
    fn a_server_that_is_given_wants_a_pg_restore_as_new_as_itself() {
        let installed = [18, 16, 15];
        assert_eq!(restorer(&installed, Some(15), None), Some(15));
        assert_eq!(restorer(&installed, Some(15), Some(16)), Some(16));
        assert_eq!(restorer(&installed, Some(17), Some(16)), Some(18));
        assert_eq!(restorer(&installed, None, Some(15)), Some(18), "what wrote it is not known");
    }

    #[test]
    fn where_all_are_older_the_newest_is_left_and_where_nothing_is_told_it_is_taken() {
        assert_eq!(server(&[15, 13], Some(16)), Some(15));
        assert_eq!(server(&[15, 13], None), Some(15));
        assert_eq!(server(&[], Some(15)), None);
    }
}
