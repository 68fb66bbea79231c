SET client_encoding = 'UTF8';
SELECT 'ÿÿÿÿÿÿÿÿÿ';
SET client_encoding = 'SQL_ASCII';
SELECT 1;
