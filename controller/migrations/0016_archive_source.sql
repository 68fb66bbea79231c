-- Which bucket a run is of: what a cut-off run noted of one bucket says nothing of another one.

ALTER TABLE archives ADD COLUMN source text;
COMMENT ON COLUMN archives.source IS 'The bucket, as endpoint/bucket; null in runs of releases that did not note it, and in imported ones';
