-- Whether the hand-over of what a request has recovered is pursued: such a request is looked at although it has ended.

CREATE FUNCTION pursues_hand_over(status jsonb) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT EXISTS (SELECT FROM jsonb_path_query(status,
        '$.conditions[*] ? (@.type == "HandedOver" && @.status != "True" && @.reason != "NotPursued" && @.reason != "NoAnswer")'))
$$;
COMMENT ON FUNCTION pursues_hand_over IS 'Whether the status of a request says that its hand-over is waited for';
