--
-- PostgreSQL database dump
--

\restrict sbAc5VqAYbOSfCVB96hr9z09OEWQvYckxaJPA86pZttsH82OElfihHaarH10Wca

-- Dumped from database version 15.18 (Debian 15.18-0+deb12u1)
-- Dumped by pg_dump version 15.18 (Debian 15.18-0+deb12u1)

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

--
-- Name: f(); Type: FUNCTION; Schema: public; Owner: postgres
--

CREATE FUNCTION public.f() RETURNS integer
    LANGUAGE sql
    AS $$ select 1 $$;


ALTER FUNCTION public.f() OWNER TO postgres;

SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: Été; Type: TABLE; Schema: public; Owner: postgres
--

CREATE TABLE public."Été" (
    id integer NOT NULL,
    t text DEFAULT 'a''b'::text,
    b bytea
);


ALTER TABLE public."Été" OWNER TO postgres;

--
-- Name: TABLE "Été"; Type: COMMENT; Schema: public; Owner: postgres
--

COMMENT ON TABLE public."Été" IS 'c;c';


--
-- Name: v; Type: VIEW; Schema: public; Owner: postgres
--

CREATE VIEW public.v AS
 SELECT "Été".id,
    "Été".t,
    "Été".b
   FROM public."Été";


ALTER TABLE public.v OWNER TO postgres;

--
-- Name: Été_id_seq; Type: SEQUENCE; Schema: public; Owner: postgres
--

CREATE SEQUENCE public."Été_id_seq"
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


ALTER TABLE public."Été_id_seq" OWNER TO postgres;

--
-- Name: Été_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: postgres
--

ALTER SEQUENCE public."Été_id_seq" OWNED BY public."Été".id;


--
-- Name: Été id; Type: DEFAULT; Schema: public; Owner: postgres
--

ALTER TABLE ONLY public."Été" ALTER COLUMN id SET DEFAULT nextval('public."Été_id_seq"'::regclass);


--
-- Name: 16399; Type: BLOB; Schema: -; Owner: postgres
--

SELECT pg_catalog.lo_create('16399');


ALTER LARGE OBJECT 16399 OWNER TO postgres;

--
-- Data for Name: Été; Type: TABLE DATA; Schema: public; Owner: postgres
--

COPY public."Été" (id, t, b) FROM stdin;
1	x1\n	\\x5c7830306666
2	x2\n	\\x5c7830306666
3	x3\n	\\x5c7830306666
4	x4\n	\\x5c7830306666
5	x5\n	\\x5c7830306666
6	x6\n	\\x5c7830306666
7	x7\n	\\x5c7830306666
8	x8\n	\\x5c7830306666
9	x9\n	\\x5c7830306666
10	x10\n	\\x5c7830306666
11	x11\n	\\x5c7830306666
12	x12\n	\\x5c7830306666
13	x13\n	\\x5c7830306666
14	x14\n	\\x5c7830306666
15	x15\n	\\x5c7830306666
16	x16\n	\\x5c7830306666
17	x17\n	\\x5c7830306666
18	x18\n	\\x5c7830306666
19	x19\n	\\x5c7830306666
20	x20\n	\\x5c7830306666
\.


--
-- Name: Été_id_seq; Type: SEQUENCE SET; Schema: public; Owner: postgres
--

SELECT pg_catalog.setval('public."Été_id_seq"', 20, true);


--
-- Data for Name: BLOBS; Type: BLOBS; Schema: -; Owner: -
--

BEGIN;

SELECT pg_catalog.lo_open('16399', 131072);
SELECT pg_catalog.lowrite(0, '\x68656c6c6f');
SELECT pg_catalog.lo_close(0);

COMMIT;

--
-- Name: Été Été_pkey; Type: CONSTRAINT; Schema: public; Owner: postgres
--

ALTER TABLE ONLY public."Été"
    ADD CONSTRAINT "Été_pkey" PRIMARY KEY (id);


--
-- PostgreSQL database dump complete
--

\unrestrict sbAc5VqAYbOSfCVB96hr9z09OEWQvYckxaJPA86pZttsH82OElfihHaarH10Wca

