-- What is built over the rows. Nothing may be left to check at the end of the transaction.
SET CONSTRAINTS ALL IMMEDIATE;
-- Checked once over all rows instead of row by row.
ALTER TABLE public.logements ADD FOREIGN KEY (lot_id) REFERENCES public.lots (id) ON DELETE CASCADE;
ALTER TABLE public.prets ADD FOREIGN KEY (convention_id) REFERENCES public.conventions (id) ON DELETE CASCADE;
ALTER TABLE public.commentaires ADD FOREIGN KEY (convention_id) REFERENCES public.conventions (id) ON DELETE CASCADE;
ALTER TABLE public.documents ADD FOREIGN KEY (convention_id) REFERENCES public.conventions (id);
ALTER TABLE public.evenements ADD FOREIGN KEY (convention_id) REFERENCES public.conventions (id) ON DELETE CASCADE;

CREATE UNIQUE INDEX utilisateurs_email ON public.utilisateurs (lower(email));
CREATE INDEX evenements_convention ON public.evenements (convention_id, survenu_le DESC);
CREATE INDEX evenements_relances ON public.evenements (survenu_le) WHERE nature = 'relance';
CREATE INDEX programmes_nom ON public.programmes USING gin (public.normaliser(nom) public.gin_trgm_ops);
CREATE INDEX conventions_attributs ON public.conventions USING gin (attributs jsonb_path_ops);
CREATE INDEX conventions_ouvertes ON public.conventions (lot_id) WHERE statut IN ('projet', 'à signer');
CREATE INDEX logements_lot ON public.logements (lot_id) INCLUDE (surface, loyer);

CREATE VIEW public.conventions_en_cours AS
    SELECT c.id, c.numero, p.nom AS programme, p.ville, l.financement
    FROM public.conventions AS c JOIN public.lots AS l ON l.id = c.lot_id JOIN public.programmes AS p ON p.id = l.programme_id
    WHERE c.statut IN ('projet', 'à signer');

CREATE MATERIALIZED VIEW public.statistiques_departements AS
    SELECT d.code, d.nom, count(DISTINCT p.id) AS programmes, count(g.id) AS logements, round(avg(g.loyer), 2) AS loyer_moyen
    FROM public.departements AS d
    LEFT JOIN public.programmes AS p ON p.departement_code = d.code
    LEFT JOIN public.lots AS l ON l.programme_id = p.id
    LEFT JOIN public.logements AS g ON g.lot_id = l.id
    GROUP BY d.code, d.nom;
CREATE UNIQUE INDEX statistiques_departements_code ON public.statistiques_departements (code);

COMMENT ON TABLE public.evenements IS 'Journal de l''application : ce qui est arrivé à chaque convention.';
COMMENT ON COLUMN public.documents.object_key IS 'Clé exacte dans le bucket.';

-- A sequence far ahead of its rows: what a restore must keep.
SELECT setval('public.numero_convention', 900001);
SELECT setval(pg_get_serial_sequence('public.programmes', 'id'), {programmes} + 1000);
