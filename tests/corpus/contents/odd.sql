COPY t (a) FROM stdin;
1\
2
\.

$a$ ; $b$ $a$;
E'x\'';--
/* a /* b */ c */ INSERT INTO t VALUES (1),(2);