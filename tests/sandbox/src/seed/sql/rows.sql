-- Rows by number, the same for the same seed. Words between braces are replaced by numbers before this runs.
SELECT setseed({fraction});

INSERT INTO public.departements (code, nom, region) VALUES
    ('01', 'Ain', 'Auvergne-Rhône-Alpes'), ('07', 'Ardèche', 'Auvergne-Rhône-Alpes'),
    ('11', 'Aude', 'Occitanie'), ('13', 'Bouches-du-Rhône', 'Provence-Alpes-Côte d''Azur'),
    ('17', 'Charente-Maritime', 'Nouvelle-Aquitaine'), ('21', 'Côte-d''Or', 'Bourgogne-Franche-Comté'),
    ('22', 'Côtes-d''Armor', 'Bretagne'), ('2A', 'Corse-du-Sud', 'Corse'), ('26', 'Drôme', 'Auvergne-Rhône-Alpes'),
    ('29', 'Finistère', 'Bretagne'), ('31', 'Haute-Garonne', 'Occitanie'), ('33', 'Gironde', 'Nouvelle-Aquitaine'),
    ('35', 'Ille-et-Vilaine', 'Bretagne'), ('36', 'Indre', 'Centre-Val de Loire'), ('38', 'Isère', 'Auvergne-Rhône-Alpes'),
    ('59', 'Nord', 'Hauts-de-France'), ('67', 'Bas-Rhin', 'Grand Est'), ('75', 'Paris', 'Île-de-France'),
    ('93', 'Seine-Saint-Denis', 'Île-de-France'), ('974', 'La Réunion', 'La Réunion');

INSERT INTO public.organisations (uuid, nom, siret, nature, adresse, creee_le)
SELECT md5('{seed} organisation ' || i)::uuid,
    (ARRAY['Habitat de l''Étoile', 'Foyer « Le Chêne »', 'Logis & Forêt', 'Œuvre des Cités', 'SA d''HLM Vallée', 'Coopérative Éco-Toit'])[1 + i % 6] || ' ' || i,
    lpad((i::bigint * 7919 % 100000000000000)::text, 14, '0'),
    CASE WHEN i % 5 = 0 THEN 'administration' ELSE 'bailleur' END,
    jsonb_build_object('rue', i || ' rue de l''Église', 'complément', E'bât. "B"\n2ᵉ étage', 'coord', jsonb_build_array(random(), random())),
    timestamptz '2019-01-01 08:00+01' + i * interval '7 hours'
FROM generate_series(1, {organisations}) AS i;

INSERT INTO public.utilisateurs (email, nom, prenom, organisation_id, roles, preferences, empreinte, actif, inscrit_le)
SELECT 'personne' || i || '@exemple.test',
    (ARRAY['Müller', 'O''Connor', 'Nguyễn', 'D''Aubigné', 'Lefèvre', 'Çelik', 'Guðmundsdóttir', 'Łukasz'])[1 + i % 8],
    (ARRAY['Zoé', 'Anaïs', 'Loïc', 'François', 'Maëlle', 'Jérôme', 'Inès'])[1 + i % 7],
    CASE WHEN i % 11 = 0 THEN NULL ELSE 1 + i % {organisations} END,
    CASE i % 3 WHEN 0 THEN ARRAY['instructeur'] WHEN 1 THEN ARRAY['bailleur', 'lecteur "simple"'] ELSE '{}' END,
    CASE WHEN i % 4 = 0 THEN NULL ELSE jsonb_build_object('thème', 'sombre', 'par_page', 10 + i % 90) END,
    decode(md5('{seed} empreinte ' || i) || '00ff5c27', 'hex'),
    i % 9 <> 0,
    timestamptz '2020-01-01 09:00+01' + i * interval '3 hours 20 minutes'
FROM generate_series(1, {utilisateurs}) AS i;

INSERT INTO public.utilisateurs_departements (utilisateur_id, departement_code)
SELECT u.id, d.code FROM public.utilisateurs AS u
CROSS JOIN LATERAL (SELECT code FROM public.departements ORDER BY md5(code || u.id || '{seed}') LIMIT u.id % 4) AS d;

INSERT INTO public.programmes (uuid, nom, ville, cp, departement_code, organisation_id, position, annee_gestion)
SELECT md5('{seed} programme ' || i)::uuid,
    'Résidence ' || (ARRAY['des Mûriers', 'L''Orée', 'du Château d''Eau', 'Saint-Éloi', 'Les Grands Prés', '« Horizon »'])[1 + i % 6] || ' n° ' || i,
    (ARRAY['Besançon', 'L''Haÿ-les-Roses', 'Saint-Étienne', 'Nîmes', 'Le Kremlin-Bicêtre', 'Épinal', 'Château-Thierry'])[1 + i % 7],
    lpad((1000 + (i * 137) % 95000)::text, 5, '0'),
    (SELECT array_agg(code ORDER BY code) FROM public.departements)[1 + i % 20],
    1 + i % {organisations},
    point(round((random() * 10)::numeric, 6)::float8, round((42 + random() * 9)::numeric, 6)::float8),
    1995 + i % 30
FROM generate_series(1, {programmes}) AS i;

INSERT INTO public.lots (programme_id, financement, nb_logements, edd)
SELECT 1 + (i - 1) / 2, (ARRAY['PLUS', 'PLAI', 'PLS', 'PLI']::public.financement[])[1 + ((i - 1) % 2) * 2 + (i / 7) % 2],
    1 + floor(random() * 40)::int, CASE WHEN i % 6 = 0 THEN 'État descriptif : lot n° ' || i || E'\tcave\\parking' END
FROM generate_series(1, {lots}) AS i;

INSERT INTO public.logements (lot_id, designation, typologie, surface, prix_m2)
SELECT 1 + i % {lots}, 'Bât. ' || chr(65 + i % 5) || ' – porte n°' || i, (ARRAY['T1', 'T1bis', 'T2', 'T3', 'T4', 'T5'])[1 + i % 6],
    round((18 + random() * 90)::numeric, 2), round((4 + random() * 7)::numeric, 2)
FROM generate_series(1, {logements}) AS i;

INSERT INTO public.conventions (uuid, lot_id, remplace_id, statut, commentaire, attributs, signee_le, creee_le)
SELECT md5('{seed} convention ' || i)::uuid, 1 + i % {lots}, CASE WHEN i > 50 AND i % 10 = 0 THEN i - 50 END,
    (ARRAY['projet', 'à signer', 'signée', 'signée', 'résiliée', 'annulée']::public.statut_convention[])[1 + i % 6],
    CASE i % 5 WHEN 0 THEN NULL WHEN 1 THEN '' WHEN 2 THEN 'L''avis du « préfet » est attendu ; 100 % réservé'
        WHEN 3 THEN E'Ligne 1\nLigne 2\r\n\\.\tfin' ELSE 'Œuvre — ' || repeat('ça et là… ', 1 + i % 20) END,
    jsonb_build_object('type', 'HLM', 'étiquettes', jsonb_build_array('a"b', 'é', NULL), 'montant', round((random() * 1e6)::numeric, 2)),
    CASE WHEN i % 6 IN (2, 3) THEN date '2021-01-01' + i % 1800 END,
    timestamptz '2020-06-01 10:00+02' + i * interval '2 hours 11 minutes'
FROM generate_series(1, {conventions}) AS i;

UPDATE public.conventions SET statut = 'résiliée' WHERE id % 40 = 3;

INSERT INTO public.avenants (convention_id, rang, motifs, effet)
SELECT 1 + (i - 1) / 2, 1 + (i - 1) % 2, (ARRAY['loyer', 'durée', 'champ « libre »'])[1 : 1 + i % 3],
    daterange(date '2022-01-01' + i % 900, CASE WHEN i % 3 = 0 THEN NULL ELSE date '2030-12-31' END)
FROM generate_series(1, {avenants}) AS i;

INSERT INTO public.prets (convention_id, preteur, montant, duree)
SELECT 1 + i % {conventions}, (ARRAY['Caisse des Dépôts', 'Crédit d''Équipement', 'Action Logement'])[1 + i % 3],
    round((10000 + random() * 5e6)::numeric, 2), make_interval(years => 20 + i % 30, months => i % 12)
FROM generate_series(1, {prets}) AS i;

INSERT INTO public.commentaires (convention_id, auteur_id, texte, ecrit_le)
SELECT 1 + floor(random() * {conventions})::int, 1 + floor(random() * {utilisateurs})::int,
    (ARRAY['D''accord.', 'À revoir : l''annexe n° 2 manque…', 'Vu « en commission »', '否 – 👍', 'Voir <b>§3</b> & "annexe"'])[1 + i % 5] || repeat(' très', i % 7),
    timestamptz '2021-01-01 00:00+01' + i * interval '37 minutes'
FROM generate_series(1, {commentaires}) AS i;

INSERT INTO public.evenements (convention_id, nature, contenu, survenu_le)
SELECT 1 + floor(random() * {conventions})::int, (ARRAY['création', 'dépôt', 'validation', 'télédéclaration', 'relance'])[1 + i % 5],
    CASE WHEN i % 3 = 0 THEN NULL ELSE jsonb_build_object('par', i % 97, 'note', 'étape n°' || i % 13 || repeat(' — pièce ' || md5('{seed} pièce ' || i) || ' reçue', {pieces}), 'durée', round((random() * 90)::numeric, 3)) END,
    timestamptz '2021-03-01 00:00+01' + i * interval '9 minutes 3.25 seconds'
FROM generate_series(1, {evenements}) AS i;

INSERT INTO public.scans (convention_id, nom, contenu)
SELECT i, 'numérisation n°' || i || '.tif',
    lo_from_bytea(0, decode(repeat(md5('{seed} scan ' || i), 64 + i * 40), 'hex'))
FROM generate_series(1, {scans}) AS i;
