-- The role that the service runs under on PostgreSQL. It may append to the log and read it; it may
-- not change, delete or truncate a row of it, nor drop the triggers that would refuse that anyway,
-- for it owns nothing. Run once after every migration, as the owner of the tables:
--
--     psql -v ON_ERROR_STOP=1 -f migrations/roles.sql DATABASE
--     CREATE ROLE web LOGIN PASSWORD '...' IN ROLE countermark_service;
--
-- Of the log's tables only `openings`, the values behind commitments, may lose rows: that is what
-- erasure means. Versions of policies
-- only grow too. All other tables are the service's to write.

BEGIN;

DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'countermark_service') THEN
        CREATE ROLE countermark_service NOLOGIN NOINHERIT;
    END IF;
END $$;

REVOKE ALL ON ALL TABLES IN SCHEMA public FROM PUBLIC, countermark_service;
REVOKE CREATE ON SCHEMA public FROM PUBLIC, countermark_service;
GRANT USAGE ON SCHEMA public TO countermark_service;

GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO countermark_service;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO countermark_service;

REVOKE UPDATE, DELETE ON entries, nodes, checkpoints, timestamps, lookups FROM countermark_service;
REVOKE UPDATE, DELETE ON policies FROM countermark_service;
REVOKE UPDATE ON openings FROM countermark_service;
REVOKE INSERT, UPDATE, DELETE ON alembic_version FROM countermark_service;

COMMIT;
