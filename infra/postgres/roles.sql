-- The roles of the services and their passwords. Postgres runs it once, on an empty data folder. Run again (see
-- docs/compose.md) it takes over passwords that were changed in .env; the schema and its rights are migrate's.
\getenv persistence METRICA_POSTGRES_PERSISTENCE_PASSWORD
\getenv api METRICA_POSTGRES_API_PASSWORD

SELECT format('CREATE ROLE %I LOGIN', name)
FROM (VALUES ('metrica_persistence'), ('metrica_api')) AS wanted (name)
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) \gexec

ALTER ROLE metrica_persistence PASSWORD :'persistence';
ALTER ROLE metrica_api PASSWORD :'api';
ALTER DATABASE metrica OWNER TO metrica_persistence;
