"""What the application may do in PostgreSQL, and the functions that do the rest for it.

They run with the owner's rights and check what they are given: a log grows at its end and only
there, under the hash and the right edge the server computes itself; a payload goes only where a
recorded erasure covers it.
"""

from __future__ import annotations

from collections.abc import Iterator

SCHEMA = "warum"

_RIGHTS = {
    "entry": (),
    "head": (),
    "payload": (),
    "opening": (),
    "checkpoint": ("INSERT",),
    "decision_record": ("INSERT", "DELETE"),
    "own_record": ("INSERT", "DELETE"),
    "idempotency": ("INSERT", "DELETE"),
}
_OPERATIONAL = ("INSERT", "UPDATE", "DELETE")

# A seat belt against accidents of whoever may change everything; no proof, it can be taken off.
_APPEND_ONLY = {
    "entry": "UPDATE OR DELETE OR TRUNCATE",
    "head": "DELETE OR TRUNCATE",
    "opening": "UPDATE OR DELETE OR TRUNCATE",
    "checkpoint": "UPDATE OR DELETE OR TRUNCATE",
    "payload": "UPDATE OR TRUNCATE",
    "decision_record": "UPDATE OR TRUNCATE",
    "own_record": "UPDATE OR TRUNCATE",
}


def rights_of(table: str) -> tuple[str, ...]:
    """What the application may do to a table, besides reading it."""
    return _RIGHTS.get(table, _OPERATIONAL)


def triggers() -> Iterator[str]:
    """The statements that make changes of what was recorded fail, for the owner as well."""
    for table, changes in _APPEND_ONLY.items():
        yield (
            f"CREATE OR REPLACE TRIGGER {table}_append_only BEFORE {changes} ON {SCHEMA}.{table} "
            f"FOR EACH STATEMENT EXECUTE FUNCTION {SCHEMA}.refuse_change()"
        )


FUNCTIONS = (
    """
CREATE OR REPLACE FUNCTION warum.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'append-only' USING ERRCODE = 'WR000';
END $$
""",
    # locking a row takes the right to change it, which the application has not
    """
CREATE OR REPLACE FUNCTION warum.lock_heads() RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = warum, pg_temp AS $$
BEGIN
  PERFORM 1 FROM head ORDER BY log FOR UPDATE;
END $$
""",
    """
CREATE OR REPLACE FUNCTION warum.append_entry(
  p_log text, p_seq integer, p_leaf bytea, p_leaf_hash bytea,
  p_key_id text, p_nonce bytea, p_ciphertext bytea, p_salt bytea, p_opened bytea,
  p_range bytea, p_clock bigint
) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = warum, pg_temp AS $$
DECLARE
  grown integer;
  edge bytea;
  hash bytea;
  carry integer;
BEGIN
  SELECT size, range INTO STRICT grown, edge FROM head WHERE log = p_log FOR UPDATE;
  IF p_seq IS DISTINCT FROM grown
     OR (convert_from(p_leaf, 'UTF8')::jsonb ->> 'seq')::integer IS DISTINCT FROM p_seq THEN
    RAISE EXCEPTION 'not the end of the log' USING ERRCODE = 'WR001';
  END IF;
  hash := sha256(decode('00', 'hex') || p_leaf);
  IF hash IS DISTINCT FROM p_leaf_hash THEN
    RAISE EXCEPTION 'not the hash of the leaf' USING ERRCODE = 'WR001';
  END IF;
  INSERT INTO entry (log, seq, leaf, leaf_hash) VALUES (p_log, p_seq, p_leaf, hash);
  carry := grown;
  WHILE carry & 1 = 1 LOOP
    hash := sha256(decode('01', 'hex') || substr(edge, length(edge) - 31) || hash);
    edge := substr(edge, 1, length(edge) - 32);
    carry := carry >> 1;
  END LOOP;
  edge := edge || hash;
  IF edge IS DISTINCT FROM p_range THEN
    RAISE EXCEPTION 'not the right edge of the tree' USING ERRCODE = 'WR001';
  END IF;
  IF p_key_id IS NOT NULL THEN
    INSERT INTO payload (log, seq, key_id, nonce, ciphertext)
    VALUES (p_log, p_seq, p_key_id, p_nonce, p_ciphertext);
  END IF;
  IF p_salt IS NOT NULL THEN
    INSERT INTO opening (log, seq, salt, payload) VALUES (p_log, p_seq, p_salt, p_opened);
  END IF;
  UPDATE head SET size = p_seq + 1, range = edge, last_clock = p_clock WHERE log = p_log;
END $$
""",
    """
CREATE OR REPLACE FUNCTION warum.erase_payloads(p_log text, p_seqs integer[])
RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = warum, pg_temp AS $$
BEGIN
  IF EXISTS (
    SELECT unnest(p_seqs)
    EXCEPT
    SELECT jsonb_array_elements_text(convert_from(o.payload, 'UTF8')::jsonb -> 'seqs')::integer
    FROM opening AS o JOIN entry AS e ON e.log = o.log AND e.seq = o.seq
    WHERE o.log = p_log AND convert_from(e.leaf, 'UTF8')::jsonb ->> 'type' = 'erasure'
  ) THEN
    RAISE EXCEPTION 'no erasure covers this' USING ERRCODE = 'WR002';
  END IF;
  DELETE FROM payload WHERE log = p_log AND seq = ANY (p_seqs);
END $$
""",
)
