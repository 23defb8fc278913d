-- Schemas, roles and grants of the platform: the single source for the local stack, the tests and Kubernetes.
--
-- Plain SQL without psql meta commands, so that psql and asyncpg both run it; idempotent, so that it may run at
-- every start. Run it in the database `platform` as a superuser, or as a role with CREATEROLE and CREATE there.
--
-- Passwords come as custom settings of the session, never as text in this file:
--     PGOPTIONS="-c platform.payments_app_password=…" psql -f roles.sql
--     asyncpg.connect(..., server_settings={"platform.payments_app_password": "…"})
-- A setting that is absent or empty leaves the password as it is.
--
-- Each schema has two roles. <schema>_owner may change tables and is used by migrations alone; <schema>_app is the
-- running program: it reads and writes rows and can neither create nor drop anything. Migrations take UPDATE and
-- DELETE away again on append-only tables (ledger, events). Nobody sees another service's schema.
--
-- payments_tenant is whom payments_app becomes for a transaction that reads for one merchant: the migrations' policies
-- show it the rows of that merchant only (row-level security). It cannot log in.
--
-- platform_backup reads everything and writes nothing: pg_dump's role. A dump as a schema's owner would need four passwords,
-- each good for dropping tables.

DO $roles$
DECLARE
    area text;
    role_name text;
    password text;
BEGIN
    -- Two starts at once would both CREATE ROLE, and one would fail.
    PERFORM pg_advisory_xact_lock(hashtext('platform.roles'));

    FOREACH area IN ARRAY ARRAY['payments', 'risk', 'pipeline', 'vault'] LOOP
        FOREACH role_name IN ARRAY ARRAY[area || '_owner', area || '_app'] LOOP
            IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role_name) THEN
                EXECUTE format('CREATE ROLE %I', role_name);
            END IF;
            EXECUTE format('ALTER ROLE %I LOGIN INHERIT NOCREATEDB NOCREATEROLE', role_name);

            password := nullif(current_setting(format('platform.%s_password', role_name), true), '');
            IF password IS NOT NULL THEN
                EXECUTE format('ALTER ROLE %I PASSWORD %L', role_name, password);
            END IF;

            EXECUTE format('GRANT CONNECT, TEMPORARY ON DATABASE %I TO %I', current_database(), role_name);
            -- Own schema only: a statement without a schema can never reach a table of another service.
            EXECUTE format('ALTER ROLE %I SET search_path = %I', role_name, area);
            -- Acknowledged means on disk, whatever the server's own default says.
            EXECUTE format('ALTER ROLE %I SET synchronous_commit = on', role_name);
            -- A transaction left open holds locks and stops vacuum; none of ours waits for anything outside.
            EXECUTE format('ALTER ROLE %I SET idle_in_transaction_session_timeout = %L', role_name, '60s');
        END LOOP;

        -- A superuser may act for every role; any other caller must be a member to create things for the owner.
        IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
            EXECUTE format('GRANT %I TO %I', area || '_owner', current_user);
        END IF;

        EXECUTE format('CREATE SCHEMA IF NOT EXISTS %I AUTHORIZATION %I', area, area || '_owner');
        EXECUTE format('REVOKE ALL ON SCHEMA %I FROM PUBLIC', area);
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', area, area || '_app');
        EXECUTE format(
            'ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA %I GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO %I',
            area || '_owner', area, area || '_app');
        EXECUTE format(
            'ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA %I GRANT USAGE, SELECT ON SEQUENCES TO %I',
            area || '_owner', area, area || '_app');
    END LOOP;

    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'payments_tenant') THEN
        CREATE ROLE payments_tenant;
    END IF;
    ALTER ROLE payments_tenant NOLOGIN INHERIT NOCREATEDB NOCREATEROLE;
    GRANT USAGE ON SCHEMA payments TO payments_tenant;
    GRANT payments_tenant TO payments_app;

    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'platform_backup') THEN
        CREATE ROLE platform_backup;
    END IF;
    ALTER ROLE platform_backup LOGIN INHERIT NOCREATEDB NOCREATEROLE;
    ALTER ROLE platform_backup SET default_transaction_read_only = on;
    BEGIN
        -- Policies hide rows from whom they do not name, and pg_dump refuses to write half a table.
        ALTER ROLE platform_backup BYPASSRLS;
        GRANT pg_read_all_data TO platform_backup;
    EXCEPTION WHEN insufficient_privilege THEN
        RAISE WARNING 'platform_backup needs BYPASSRLS and pg_read_all_data, which % may not grant: backups will fail', current_user;
    END;
    password := nullif(current_setting('platform.platform_backup_password', true), '');
    IF password IS NOT NULL THEN
        EXECUTE format('ALTER ROLE platform_backup PASSWORD %L', password);
    END IF;
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO platform_backup', current_database());

    EXECUTE format('REVOKE CONNECT, TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
    REVOKE ALL ON SCHEMA public FROM PUBLIC;
END
$roles$;
