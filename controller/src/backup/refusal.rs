//! Why a database archive is not taken: one variant a fault, one sentence each, and a closed set of labels.
//!
//! Two kinds must never be mixed up: a fault *of the backup*, which is a verdict about it, and a fault *of ours* (the
//! disk is full, the line dropped, a tool is missing), after which nothing is known of it. [`Refusal::blames_backup`]
//! tells them apart.

use std::io;

use thiserror::Error;

use super::archive::sniff::Looks;
use crate::runtime::class::{Class, Classified};

/// Any error that a stream that was handed in may end with.
pub type BodyError = Box<dyn std::error::Error + Send + Sync + 'static>;

/// Every label of [`Refusal::reason`], for metrics that exist from the start.
pub const REASONS: &[&str] = &[
    "transfer-failed",
    "cut-short",
    "overlong",
    "empty",
    "gzip-cut",
    "gzip-damaged",
    "gzip-trailing",
    "tar-cut",
    "tar-damaged",
    "member-missing",
    "several-members",
    "member-odd",
    "dump-empty",
    "header-cut",
    "not-custom-format",
    "too-large",
    "needs-newer-tool",
    "tool-lacks-feature",
    "toc-unreadable",
    "data-unreadable",
    "data-missing",
    "digest-differs",
    "count-differs",
    "tool-failed",
    "local-failure",
    "cancelled",
    "error-page",
    "plain-sql",
    "encrypted",
    "wrong-magic",
    "unsteady",
];

/// Why an archive was refused, and where in it.
#[derive(Debug, Error)]
pub enum Refusal {
    /// The body's stream failed before its end: nothing is known of the backup.
    #[error("the download failed after {at} bytes")]
    Transfer {
        /// Bytes received before it.
        at: u64,
        /// What the stream said.
        #[source]
        source: BodyError,
    },
    /// Fewer bytes arrived than were announced.
    #[error("the download ended after {received} of {expected} bytes")]
    CutShort {
        /// Bytes received.
        received: u64,
        /// Bytes announced.
        expected: u64,
    },
    /// More bytes arrived than were announced.
    #[error("the download goes on after the {expected} bytes announced")]
    Overlong {
        /// Bytes announced.
        expected: u64,
    },
    /// Not one byte arrived, and none was announced.
    #[error("the archive is empty (0 bytes)")]
    Empty,
    /// It is something else altogether.
    #[error("{layer} is {found}, not {wanted}")]
    Foreign {
        /// Which layer was looked at.
        layer: Layer,
        /// What its first bytes look like.
        found: Looks,
        /// What belongs there.
        wanted: &'static str,
    },
    /// The compressed stream ends early.
    #[error("the gzip stream ends early, after {unpacked} unpacked bytes")]
    GzipCut {
        /// Bytes that came out of it.
        unpacked: u64,
    },
    /// The compressed stream is damaged: its blocks or its checksum are wrong.
    #[error("the gzip stream is damaged after {unpacked} unpacked bytes")]
    GzipDamaged {
        /// Bytes that came out of it.
        unpacked: u64,
        /// What the decoder said.
        #[source]
        source: io::Error,
    },
    /// Something that is no gzip follows the gzip stream.
    #[error("foreign bytes follow the end of the gzip stream, after {unpacked} unpacked bytes")]
    GzipTrailing {
        /// Bytes that came out of it.
        unpacked: u64,
    },
    /// The tar ends inside an entry.
    #[error("the tar archive ends early, at byte {at}")]
    TarCut {
        /// Offset in the unpacked tar.
        at: u64,
    },
    /// A header of the tar makes no sense.
    #[error("the tar archive is damaged at byte {at}: {what}")]
    TarDamaged {
        /// Offset in the unpacked tar.
        at: u64,
        /// Which rule it breaks.
        what: &'static str,
    },
    /// The tar has no file in it.
    #[error("the tar archive holds no file")]
    MemberMissing,
    /// The tar has more than the one file: which of them is the dump is not ours to guess.
    #[error("the tar archive holds a second file, {second:?}, after {first:?}")]
    SeveralMembers {
        /// Name of the first, for the eye only.
        first: String,
        /// Name of the second, for the eye only.
        second: String,
    },
    /// The tar holds a link, a device or the like.
    #[error("the tar archive holds {name:?}, which is no ordinary file")]
    MemberOdd {
        /// Its name, for the eye only.
        name: String,
    },
    /// The dump in it has no bytes, as when `pg_dump` was refused its login.
    #[error("the dump is empty (0 bytes)")]
    DumpEmpty,
    /// The dump ends within its first bytes.
    #[error("the dump ends in its header, after {at} bytes")]
    HeaderCut {
        /// Its length.
        at: u64,
    },
    /// A dump of `pg_dump`, but in another format than custom.
    #[error("the dump is in pg_dump's format {format}, not in its custom format")]
    NotCustom {
        /// The header's format code: 3 tar, 5 directory.
        format: u8,
    },
    /// The dump is larger than the caller has room for.
    #[error("the dump is larger than the {limit} bytes there is room for")]
    TooLarge {
        /// The limit, in bytes.
        limit: u64,
    },
    /// Written by a `pg_dump` that our `pg_restore` cannot read.
    #[error("the dump's format {archive_version} needs pg_restore {needs} or newer, this is {have}")]
    NeedsNewerTool {
        /// Archive version, such as `1.16`.
        archive_version: String,
        /// Lowest major that reads it.
        needs: u32,
        /// Our major.
        have: u32,
    },
    /// Our `pg_restore` was built without something that the dump needs (lz4, zstd): nothing is known of the backup.
    #[error("this pg_restore cannot read the dump: {said}")]
    ToolLacks {
        /// What `pg_restore` said, first line.
        said: String,
    },
    /// The table of contents cannot be read.
    #[error("the dump's table of contents cannot be read: {said}")]
    TocUnreadable {
        /// What `pg_restore -l` said, first line.
        said: String,
    },
    /// A data block cannot be read.
    #[error("the dump's data cannot be read, in {place}: {said}")]
    DataUnreadable {
        /// The entry and row up to which it could.
        place: String,
        /// What `pg_restore` said, first line.
        said: String,
    },
    /// The table of contents promises data that did not come.
    #[error("the dump's table of contents names data of {entry} that is not in it")]
    DataMissing {
        /// The first such entry.
        entry: String,
    },
    /// It is whole, and not what it was when its digest was recorded.
    #[error("{layer} is not what it was when its digest was recorded")]
    DigestDiffers {
        /// Which layer was looked at.
        layer: Layer,
    },
    /// A table has other rows than were recorded of this backup.
    #[error("table {table} has {} in the dump, {} recorded", rows(*.found), rows(*.recorded))]
    CountDiffers {
        /// The first such table.
        table: String,
        /// Rows recorded, if it was recorded at all.
        recorded: Option<u64>,
        /// Rows in the dump, if it is in there at all.
        found: Option<u64>,
    },
    /// A program of PostgreSQL's could not be run: nothing is known of the backup.
    #[error("could not run {tool}")]
    Tool {
        /// The program.
        tool: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Two downloads in a row were bad, each in its own way: nothing is known of the backup.
    #[error(
        "two downloads were bad, and not in one way ({first}, then {again}): the line or its server is not steady"
    )]
    Unsteady {
        /// The first one's label.
        first: &'static str,
        /// The second one's.
        again: &'static str,
    },
    /// Our own disk or memory failed us: nothing is known of the backup.
    #[error("could not {doing}")]
    Local {
        /// What we were doing.
        doing: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The work was stopped from outside.
    #[error("the check was stopped")]
    Cancelled,
}

/// The layers of an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    /// What was downloaded.
    Download,
    /// What came out of gzip.
    Unpacked,
    /// The tar's one file.
    Member,
}

impl std::fmt::Display for Layer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Download => "the download",
            Self::Unpacked => "the content of the gzip",
            Self::Member => "the file in the tar",
        })
    }
}

fn rows(count: Option<u64>) -> String {
    count.map_or_else(|| "no such table".to_owned(), |count| format!("{count} rows"))
}

impl Refusal {
    /// The stable label of this fault, for `backup_verdicts` and metrics. Labels are added to, never renamed.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Transfer { .. } => "transfer-failed",
            Self::CutShort { .. } => "cut-short",
            Self::Overlong { .. } => "overlong",
            Self::Empty => "empty",
            Self::Foreign { found, .. } => found.reason(),
            Self::GzipCut { .. } => "gzip-cut",
            Self::GzipDamaged { .. } => "gzip-damaged",
            Self::GzipTrailing { .. } => "gzip-trailing",
            Self::TarCut { .. } => "tar-cut",
            Self::TarDamaged { .. } => "tar-damaged",
            Self::MemberMissing => "member-missing",
            Self::SeveralMembers { .. } => "several-members",
            Self::MemberOdd { .. } => "member-odd",
            Self::DumpEmpty => "dump-empty",
            Self::HeaderCut { .. } => "header-cut",
            Self::NotCustom { .. } => "not-custom-format",
            Self::TooLarge { .. } => "too-large",
            Self::NeedsNewerTool { .. } => "needs-newer-tool",
            Self::ToolLacks { .. } => "tool-lacks-feature",
            Self::TocUnreadable { .. } => "toc-unreadable",
            Self::DataUnreadable { .. } => "data-unreadable",
            Self::DataMissing { .. } => "data-missing",
            Self::DigestDiffers { .. } => "digest-differs",
            Self::CountDiffers { .. } => "count-differs",
            Self::Tool { .. } => "tool-failed",
            Self::Unsteady { .. } => "unsteady",
            Self::Local { .. } => "local-failure",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether every byte of the download was read before this showed: these faults are an end that came too early.
    pub fn saw_the_end(&self) -> bool {
        matches!(self, Self::GzipCut { .. } | Self::TarCut { .. })
    }

    /// Whether this says something about the backup. If not, it is to be tried again and gets no verdict.
    pub fn blames_backup(&self) -> bool {
        match self {
            Self::Transfer { .. }
            | Self::TooLarge { .. }
            | Self::NeedsNewerTool { .. }
            | Self::ToolLacks { .. }
            | Self::Tool { .. }
            | Self::Unsteady { .. }
            | Self::Local { .. }
            | Self::Cancelled => false,
            Self::CutShort { .. }
            | Self::Overlong { .. }
            | Self::Empty
            | Self::Foreign { .. }
            | Self::GzipCut { .. }
            | Self::GzipDamaged { .. }
            | Self::GzipTrailing { .. }
            | Self::TarCut { .. }
            | Self::TarDamaged { .. }
            | Self::MemberMissing
            | Self::SeveralMembers { .. }
            | Self::MemberOdd { .. }
            | Self::DumpEmpty
            | Self::HeaderCut { .. }
            | Self::NotCustom { .. }
            | Self::TocUnreadable { .. }
            | Self::DataUnreadable { .. }
            | Self::DataMissing { .. }
            | Self::DigestDiffers { .. }
            | Self::CountDiffers { .. } => true,
        }
    }
}

impl Classified for Refusal {
    fn class(&self) -> Class {
        match self {
            Self::Cancelled => Class::Cancelled,
            Self::Transfer { .. } | Self::Unsteady { .. } | Self::Local { .. } | Self::Tool { .. } => {
                Class::Transient
            }
            Self::TooLarge { .. }
            | Self::NeedsNewerTool { .. }
            | Self::ToolLacks { .. }
            | Self::CutShort { .. }
            | Self::Overlong { .. }
            | Self::Empty
            | Self::Foreign { .. }
            | Self::GzipCut { .. }
            | Self::GzipDamaged { .. }
            | Self::GzipTrailing { .. }
            | Self::TarCut { .. }
            | Self::TarDamaged { .. }
            | Self::MemberMissing
            | Self::SeveralMembers { .. }
            | Self::MemberOdd { .. }
            | Self::DumpEmpty
            | Self::HeaderCut { .. }
            | Self::NotCustom { .. }
            | Self::TocUnreadable { .. }
            | Self::DataUnreadable { .. }
            | Self::DataMissing { .. }
            | Self::DigestDiffers { .. }
            | Self::CountDiffers { .. } => Class::Terminal,
        }
    }
}

impl From<Refusal> for io::Error {
    /// Lets a refusal travel up through [`io::Read`]; [`Refusal::unwrap_io`] takes it out again.
    fn from(refusal: Refusal) -> Self {
        Self::other(refusal)
    }
}

impl Refusal {
    /// The refusal that travelled in `error`, or what `otherwise` makes of an error of another origin.
    pub fn unwrap_io(error: io::Error, otherwise: impl FnOnce(io::Error) -> Self) -> Self {
        error.downcast::<Self>().unwrap_or_else(otherwise)
    }
}
