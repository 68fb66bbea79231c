//! What can be played on a request.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What happens to a matching request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
pub enum Fault {
    /// Answer later.
    Latency {
        /// Wall milliseconds.
        ms: u64,
    },
    /// Answer later, by a time drawn evenly from a span.
    LatencyUniform {
        /// The least, in wall milliseconds.
        min_ms: u64,
        /// The most, in wall milliseconds.
        max_ms: u64,
    },
    /// Answer later, by a time drawn from the log-normal distribution with these percentiles.
    LatencyPercentiles {
        /// The median, in wall milliseconds.
        p50_ms: f64,
        /// One in a hundred takes longer.
        p99_ms: f64,
    },
    /// Answer this status without any effect.
    Status {
        /// The status.
        status: u16,
        /// The body; a vendor-like one if absent.
        #[serde(default)]
        body: Option<String>,
        /// Seconds for a `Retry-After` header.
        #[serde(default)]
        retry_after: Option<u64>,
    },
    /// Answer a proxy's web page where JSON or XML is expected, without any effect.
    HtmlPage {
        /// The status.
        #[serde(default = "bad_gateway")]
        status: u16,
    },
    /// Refuse what comes faster than this, in the service's words (503 `SlowDown` for S3, 429 elsewhere).
    Throttle {
        /// Requests per wall second that pass.
        per_second: f64,
        /// Seconds for a `Retry-After` header.
        #[serde(default)]
        retry_after: Option<u64>,
    },
    /// Refuse for want of space: 507 from an object store, 500 elsewhere.
    DiskFull,
    /// Cut the connection, nothing done.
    DropBefore,
    /// Do it, then cut the connection: the important one.
    DropAfter,
    /// Reset the connection (TCP RST).
    Reset {
        /// Whether it is done first.
        #[serde(default)]
        after: bool,
    },
    /// Do it, send only this many bytes of the answer, then cut.
    Truncate {
        /// Bytes that still arrive.
        bytes: u64,
    },
    /// Do it, send only this part of the answer, then cut.
    HalfBody {
        /// The part that still arrives, of 1.
        #[serde(default = "half")]
        fraction: f64,
    },
    /// Do it, and send the answer slowly.
    SlowBody {
        /// How fast.
        bytes_per_second: u64,
    },
    /// Answer what this GET answered before the last effect. Name servers answer from the zone before the last change.
    StaleRead,
    /// Deliver the request twice, as a proxy that tries again does; the second answer is sent.
    Duplicate,
    /// Refuse the bearer token as expired.
    ExpireToken,
    /// Refuse the credential as unknown, at every use until the rule is removed.
    RevokeKey,
    /// Flip bits in the answer's body.
    Corrupt,
    /// Send a download damaged in one of the ways in which backups are.
    CorruptBackup {
        /// Which one.
        how: Damage,
    },
    /// Accept and never answer. What is being provisioned stays in its status.
    #[serde(alias = "hang")]
    Stall,
    /// Refuse by the service's own rules (a build fails, a certificate is refused, a hook fails); `reason` says which.
    Reject {
        /// What is rejected, in the service's words.
        reason: String,
    },
    /// A name server gives this in place of the true address or target.
    Lie {
        /// An address for A, a name for CNAME.
        answer: String,
    },
}

/// Ways in which a downloaded backup is bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Damage {
    /// The download stopped half way.
    Truncated,
    /// The last byte is missing.
    ShortByOne,
    /// Bytes of the outer gzip are changed.
    FlippedGzip,
    /// Bytes of table data inside are changed; everything around is whole.
    FlippedData,
    /// Bits of table data inside are changed in a dump without compression: every reader of the file is content.
    FlippedUncompressed,
    /// A whole dump of the schema, without a row.
    SchemaOnly,
    /// The dump inside ends early; everything around is whole.
    CutDump,
    /// The table of contents is unreadable.
    BadToc,
    /// The dump says that a newer program wrote it.
    TooNew,
    /// The dump inside is empty.
    EmptyDump,
    /// SQL text where a custom dump is expected.
    PlainSql,
    /// A web page that was saved as a backup.
    HtmlPage,
    /// No bytes at all.
    Empty,
}

/// The web page of a proxy that has no service behind it.
pub fn page(status: u16) -> String {
    format!(
        "<html>\r\n<head><title>{status}</title></head>\r\n<body>\r\n<center><h1>{status}</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
    )
}

fn bad_gateway() -> u16 {
    502
}

fn half() -> f64 {
    0.5
}

impl Fault {
    /// The wall time to wait first, where the fault is a latency.
    pub fn latency(&self) -> Option<Duration> {
        match self {
            Self::Latency { ms } => Some(Duration::from_millis(*ms)),
            _ => None,
        }
    }

    /// Its name, as in a rule.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Latency { .. } => "latency",
            Self::LatencyUniform { .. } => "latency_uniform",
            Self::LatencyPercentiles { .. } => "latency_percentiles",
            Self::Status { .. } => "status",
            Self::HtmlPage { .. } => "html_page",
            Self::Throttle { .. } => "throttle",
            Self::DiskFull => "disk_full",
            Self::DropBefore => "drop_before",
            Self::DropAfter => "drop_after",
            Self::Reset { .. } => "reset",
            Self::Truncate { .. } => "truncate",
            Self::HalfBody { .. } => "half_body",
            Self::SlowBody { .. } => "slow_body",
            Self::StaleRead => "stale_read",
            Self::Duplicate => "duplicate",
            Self::ExpireToken => "expire_token",
            Self::RevokeKey => "revoke_key",
            Self::Corrupt => "corrupt",
            Self::CorruptBackup { .. } => "corrupt_backup",
            Self::Stall => "stall",
            Self::Reject { .. } => "reject",
            Self::Lie { .. } => "lie",
        }
    }

    /// What is wrong with its members, if anything: where, what, and what to do.
    pub(super) fn complaint(&self) -> Option<String> {
        let fraction = |value: f64| (0.0..=1.0).contains(&value);
        match self {
            Self::LatencyUniform { min_ms, max_ms } if min_ms > max_ms => {
                Some(format!("fault.min_ms {min_ms} is more than max_ms {max_ms}: exchange them"))
            }
            Self::LatencyPercentiles { p50_ms, p99_ms } if !(*p50_ms > 0.0 && p99_ms >= p50_ms) => {
                Some("fault.p50_ms must be above 0 and p99_ms at least p50_ms".into())
            }
            Self::Status { status, .. } | Self::HtmlPage { status } if !(200..=599).contains(status) => {
                Some(format!("fault.status {status} is no final HTTP status: give one from 200 to 599"))
            }
            Self::Throttle { per_second, .. } if !(per_second.is_finite() && *per_second > 0.0) => {
                Some("fault.per_second must be above 0: requests that pass in a second".into())
            }
            Self::HalfBody { fraction: part } if !fraction(*part) => {
                Some(format!("fault.fraction {part} is not between 0 and 1: give 0.5 for the half"))
            }
            Self::SlowBody { bytes_per_second: 0 } => Some(
                "fault.bytes_per_second must be above 0: use the kind `stall` for an answer that never comes"
                    .into(),
            ),
            _ => None,
        }
    }
}
