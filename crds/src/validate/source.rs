//! Rules about the source.

use super::{names, settings};
use crate::plan::{ArtifactSource, MirrorSource, ObjectSource, RecoveryPlanSpec, SourceBucket};
use crate::problem::{At, Report};
use crate::text::{Period, Setting};

pub(super) fn check(plan: &RecoveryPlanSpec, at: &At, report: &mut Report) {
    let (source, at) = (&plan.source, at.member("source"));
    for (field, wrong) in [
        ("region", names::code(&source.region)),
        ("app", names::app(&source.app)),
        ("addon", names::code(&source.addon)),
    ] {
        if let Some(wrong) = wrong {
            report.add(&at.member(field), wrong);
        }
    }
    if let Some(SourceBucket { name, endpoint, region, .. }) = &source.bucket {
        store(name, "name", endpoint, region, &at.member("bucket"), report);
    }
    let objects = at.member("objects");
    for (index, object) in source.objects.iter().enumerate() {
        object_source(object, plan.archive.is_some(), &objects.item(index), report);
        if source.objects.iter().take(index).any(|other| same(object, other)) {
            report.add(&objects.item(index), "is a copy that was named before");
        }
    }
}

fn store(name: &Setting, field: &str, endpoint: &Setting, region: &Setting, at: &At, report: &mut Report) {
    settings::check(name, settings::word, &at.member(field), report);
    settings::check(endpoint, settings::endpoint, &at.member("endpoint"), report);
    settings::check(region, names::code, &at.member("region"), report);
}

fn object_source(object: &ObjectSource, has_archive: bool, at: &At, report: &mut Report) {
    let named = [object.artifact.is_some(), object.mirror.is_some(), object.archive.is_some()];
    match named.into_iter().filter(|named| *named).count() {
        0 => report.add(at, "names neither an artifact, nor a mirror, nor the archive"),
        1 => {}
        _ => report.add_with_hint(at, "names more than one copy", "make each an item of the list"),
    }
    if object.archive.is_some() && !has_archive {
        report.add_with_hint(
            &at.member("archive"),
            "means the plan's archive, and the plan has none",
            "describe it at spec.archive",
        );
    }
    if let Some(ArtifactSource { repository, workflow, branch, name, max_age }) = &object.artifact {
        let at = at.member("artifact");
        settings::check(repository, settings::github_repository, &at.member("repository"), report);
        settings::check(workflow, settings::word, &at.member("workflow"), report);
        settings::check(name, |_| None, &at.member("name"), report);
        if let Some(wrong) = settings::git_ref(branch) {
            report.add(&at.member("branch"), wrong);
        }
        if *max_age == Period::seconds(0) {
            report.add(&at.member("maxAge"), "must be more than nothing");
        }
    }
    if let Some(MirrorSource { endpoint, bucket, region, prefix, .. }) = &object.mirror {
        let at = at.member("mirror");
        store(bucket, "bucket", endpoint, region, &at, report);
        if prefix.as_ref().is_some_and(|prefix| prefix.is_empty() || prefix.starts_with('/')) {
            report.add_with_hint(
                &at.member("prefix"),
                "is empty or starts with /",
                "keys start without one; leave it out for all keys",
            );
        }
    }
}

/// Whether two entries name the same copy; entries that are blank, or only stand-ins, are never the same.
fn same(a: &ObjectSource, b: &ObjectSource) -> bool {
    let artifact = a.artifact.is_some() && a.artifact == b.artifact;
    let mirror = a.mirror.as_ref().zip(b.mirror.as_ref()).is_some_and(|(a, b)| {
        !a.bucket.as_str().is_empty()
            && (&a.endpoint, &a.bucket, &a.prefix) == (&b.endpoint, &b.bucket, &b.prefix)
    });
    let archive = a.archive.is_some() && a.archive == b.archive;
    artifact && a.artifact.as_ref().is_some_and(|artifact| !artifact.name.as_str().is_empty())
        || mirror
        || archive
}
