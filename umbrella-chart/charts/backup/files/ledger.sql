-- What a backup must bring back, as one JSON value in the psql variable `ledger`. Read by backup.sh in the snapshot that is
-- dumped, and by restore.sh in what was restored: the two texts are equal, or the restore is not accepted.
--
-- The hashes cover every byte of the ledger, also of the seconds that the hash chain has not reached yet. Rows are hashed in
-- blocks, so that no value grows with the ledger. The settings fix how a row is written as text.
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, YMD';
SET IntervalStyle = 'postgres';
SET extra_float_digits = 1;
SET bytea_output = 'hex';
-- a policy that would hide rows from this role is an error, never a smaller backup
SET row_security = off;

SELECT string_agg(format('SELECT %L AS name, count(*) AS number FROM %I.%I', nspname || '.' || relname, nspname, relname),
                  ' UNION ALL ' ORDER BY nspname, relname) AS counts
FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE nspname IN ('payments', 'risk', 'pipeline', 'vault') AND relkind IN ('r', 'p') AND NOT relispartition
\gset

SELECT jsonb_build_object(
    'transfers', (SELECT count(*) FROM payments.transfer),
    'transfer_hash', (
        SELECT encode(sha256(coalesce(string_agg(hash, '' ORDER BY block), '')), 'hex') FROM (
            SELECT id / 4096 AS block, sha256(convert_to(string_agg(t::text, E'\n' ORDER BY id), 'UTF8')) AS hash
            FROM payments.transfer t GROUP BY id / 4096) blocks),
    'account_hash', (
        SELECT encode(sha256(coalesce(string_agg(hash, '' ORDER BY block), '')), 'hex') FROM (
            SELECT id / 4096 AS block, sha256(convert_to(string_agg(a::text, E'\n' ORDER BY id), 'UTF8')) AS hash
            FROM payments.account a GROUP BY id / 4096) blocks),
    'chain_length', (SELECT coalesce(max(position), 0) FROM payments.ledger_chain),
    'chain_head', (SELECT encode(hash, 'hex') FROM payments.ledger_chain ORDER BY position DESC LIMIT 1),
    'balanced', NOT EXISTS (
        SELECT FROM payments.account GROUP BY currency HAVING sum(debits_posted) <> sum(credits_posted)),
    'rows', (SELECT jsonb_object_agg(name, number) FROM (:counts) counted)
) AS ledger
\gset
