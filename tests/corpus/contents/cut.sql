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

CREATE SEQUENCE public."Été_id_s