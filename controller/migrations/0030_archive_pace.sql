-- How fast a run goes, and when it will end: once its listing is whole, as far as it can be told. Bytes that it has to copy beside those
-- that it has copied.
ALTER TABLE archives
    ADD COLUMN due_bytes bigint NOT NULL DEFAULT 0,
    ADD COLUMN objects_per_second double precision,
    ADD COLUMN bytes_per_second double precision,
    ADD COLUMN seconds_left double precision;

-- Why a run is suspicious, where that turned out only when contents were hashed that its store had copied by itself: sentences.
ALTER TABLE archives ADD COLUMN suspected jsonb NOT NULL DEFAULT '[]'
    CONSTRAINT suspected_is_a_list CHECK (jsonb_typeof(suspected) = 'array');
